"""The runs that are remembered, by program, and what they say; each answer is worked out once."""

from collections import defaultdict, deque

from gpurun.coordinator.core.estimator.estimate import Asked, estimate
from gpurun.coordinator.core.estimator.guess import Need
from gpurun.coordinator.core.estimator.profile import Family, Profile, family_of

KEPT = 50
"""Runs of one program; with more, what was long ago would speak for ever."""
MOST_ANSWERS = 1000
"""Of one program; runs under way make new ones as they grow."""


class History:
    """Profiles, the last of each program, and answers until there is another of it."""

    def __init__(self) -> None:
        self._runs: defaultdict[Family, deque[Profile]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._answers: dict[Family, dict[tuple[Asked, tuple[Profile, ...]], Need]] = {}

    def add(self, profile: Profile) -> None:
        """Remember a run."""
        self._runs[profile.family].append(profile)
        self._answers.pop(profile.family, None)

    def need(self, uid: int, asked: Asked, siblings: tuple[Profile, ...] = ()) -> Need:
        """What the program will need; siblings are runs of it that are under way."""
        family = family_of(uid, asked.program)
        answers = self._answers.setdefault(family, {})
        found = answers.get((asked, siblings))
        if found is None:
            if len(answers) >= MOST_ANSWERS:
                answers.clear()
            found = estimate(asked, (*self._runs.get(family, ()), *siblings))
            answers[asked, siblings] = found
        return found
