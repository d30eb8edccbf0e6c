"""Other arguments: what runs with other numbers say of this combination."""

from collections.abc import Sequence
from math import prod

from gpurun.coordinator.core.estimator.arguments import Arguments, read
from gpurun.coordinator.core.estimator.fit import Point, fitted
from gpurun.coordinator.core.estimator.guess import Basis, Guess
from gpurun.coordinator.core.estimator.profile import Profile

CARRY_MARGIN = 0.15
"""Between combinations that were seen."""
BEYOND_MARGIN = 0.15
"""More, where a number lies outside of what was seen."""
ALIKE = 1.10
"""Peaks that differ by less show that what differs between the runs does not matter."""
ALIKE_LEAST = 3
"""Combinations that must have been seen for that."""


def carried(wanted: Arguments, runs: Sequence[Profile]) -> Guess | None:
    """An estimate from runs with the same words and other numbers; None where there are none."""
    points = _points(wanted, runs)
    if not points:
        return _whatever_the_words(runs)
    low, margin = _predicted(wanted, points)
    count = len(points)
    grounds = f"{count} other combination{'s' * (count > 1)} of its numbers"
    return Guess(low, low * (1 + margin), Basis.INFERRED, count, grounds)


def asks_less(other: Arguments, wanted: Arguments) -> bool:
    """Whether no number of the other combination is larger: then ours needs no less than it."""
    return other.words == wanted.words and all(
        name in wanted.numbers and abs(value) <= abs(wanted.numbers[name])
        for name, value in other.numbers.items()
    )


def _points(wanted: Arguments, runs: Sequence[Profile]) -> tuple[Point, ...]:
    """The highest peak of each combination of numbers, beside the same words."""
    highest: dict[tuple[tuple[str, float], ...], int] = {}
    for run in runs:
        arguments = read(run.program.arguments)
        if arguments.words == wanted.words and arguments.numbers.keys() == wanted.numbers.keys():
            key = tuple(sorted(arguments.numbers.items()))
            highest[key] = max(run.peak, highest.get(key, 0))
    return tuple(sorted(highest.items()))


def _predicted(wanted: Arguments, points: tuple[Point, ...]) -> tuple[float, float]:
    """The expected peak and the margin, a share of it, that belongs on top."""
    fit, seen = fitted(points), [dict(numbers) for numbers, _ in points]
    names, first = fit.names, seen[0]
    # A number that never varied may matter as much as can be: in proportion.
    unseen = [n for n in wanted.numbers if n not in names and wanted.numbers[n] != first[n]]
    growth = prod(max(1.0, _ratio(wanted.numbers[n], first[n])) for n in unseen)
    low = fit.at(wanted.numbers) * growth
    beyond = unseen or any(_outside(wanted.numbers[n], [one[n] for one in seen]) for n in names)
    return low, CARRY_MARGIN + fit.miss + (BEYOND_MARGIN if beyond else 0.0)


def _whatever_the_words(runs: Sequence[Profile]) -> Guess | None:
    """Where every run needed about the same, its name or folder does not matter."""
    peaks = [run.peak for run in runs]
    seen = {run.program.arguments for run in runs}
    if len(seen) < ALIKE_LEAST or max(peaks) > ALIKE * min(peaks):
        return None
    low = float(max(peaks))
    grounds = f"{len(seen)} combinations of its arguments that needed the same"
    return Guess(low, low * (1 + CARRY_MARGIN), Basis.INFERRED, len(seen), grounds)


def _ratio(new: float, old: float) -> float:
    return abs(new) / abs(old) if old else 1.0 + abs(new)


def _outside(value: float, seen: Sequence[float]) -> bool:
    return not min(seen) <= value <= max(seen)
