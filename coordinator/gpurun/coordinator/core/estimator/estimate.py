"""From earlier runs to what the next one will need: learned, inferred, or not known.

Memory is safety, so that nothing here is below what has been seen under the same conditions.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gpurun.coordinator.core.estimator.arguments import Arguments, read
from gpurun.coordinator.core.estimator.carry import asks_less, carried
from gpurun.coordinator.core.estimator.guess import Basis, Guess, Need
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.estimator.seen import BRIEF
from gpurun.protocol.job import ProgramId

MARGIN = 0.05
"""Over the largest of several runs of the same program: what an allocator does differently."""
CHANGED_MARGIN = 0.20
"""Where the script, its interpreter or the device's model is another."""
PARTIAL_MARGIN = 0.25
"""Where only runs that are not complete have been seen."""
OOM_FACTOR = 1.25
"""Over what a run held that ran out of memory."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """For whom an estimate is made."""

    program: ProgramId
    gpus: int
    models: frozenset[str]
    """The devices that are here; a run on any other is one under changed conditions."""


def estimate(asked: Asked, runs: Iterable[Profile]) -> Need:
    """What the runs of one user's program, finished and under way, say of the next."""
    known = [run for run in runs if run.gpus == asked.gpus]
    wanted = read(asked.program.arguments)
    same = [run for run in known if read(run.program.arguments) == wanted]
    return Need(
        memory=_memory(asked, wanted, same, known),
        utilization=_utilization(asked, wanted, known),
        time=_time(asked, same),
    )


def _memory(
    asked: Asked, wanted: Arguments, same: Sequence[Profile], known: Sequence[Profile]
) -> Guess | None:
    complete = [run for run in same if run.complete and run.seen.known]
    exact = [run for run in complete if not _changed(asked, run)]
    if exact:
        return _raised(_learned(exact), same)
    if complete:
        return _raised(_learned_before(complete), same)
    witnesses = [run for run in known if _is_witness(run)]
    guess = _partial(same) or carried(wanted, witnesses)
    if guess is not None and any(_changed(asked, run) for run in witnesses):
        wider = guess.high * (1 + CHANGED_MARGIN - MARGIN)
        guess = msgspec.structs.replace(guess, high=wider)
    return _raised(guess, [run for run in known if asks_less(read(run.program.arguments), wanted)])


def _learned(runs: Sequence[Profile]) -> Guess:
    low, high = _span(runs, MARGIN)
    return Guess(low, high, Basis.LEARNED, len(runs), f"{_runs(runs)} of the same program")


def _learned_before(runs: Sequence[Profile]) -> Guess:
    low, high = _span(runs, CHANGED_MARGIN)
    return Guess(low, high, Basis.INFERRED, len(runs), f"{_runs(runs)} before it was changed")


def _span(runs: Sequence[Profile], margin: float) -> tuple[float, float]:
    """The highest of so few runs is their high quantile; over it a margin, and half their spread.

    So a run that needs more than all before never lowers it.
    """
    peaks = [run.peak for run in runs]
    most = max(peaks)
    return most, most * (1 + margin) + (most - min(peaks)) / 2


def _partial(same: Sequence[Profile]) -> Guess | None:
    """Runs that ended early or go on, once they have long been at their plateau."""
    witnesses = [run for run in same if _is_witness(run)]
    if not witnesses:
        return None
    low, high = _span(witnesses, PARTIAL_MARGIN)
    grounds = f"{_runs(witnesses)} of the same program, not complete"
    return Guess(low, high, Basis.INFERRED, len(witnesses), grounds)


def _raised(guess: Guess | None, same: Sequence[Profile]) -> Guess | None:
    """No lower than what any run was seen to need, and above what one of them ran out with."""
    floor = max((run.peak * (1 + MARGIN) for run in same), default=0.0)
    short = [run for run in same if run.oom]
    oom = max((oom_need(run.peak, run.reserved, run.needed) for run in short), default=0.0)
    if guess is not None and oom <= guess.high:
        return msgspec.structs.replace(guess, high=max(guess.high, floor))
    if not oom:
        return None
    if guess is None:
        grounds = f"{_runs(short)} that ran out of memory"
        guess = Guess(oom, oom, Basis.INFERRED, len(short), grounds)
    else:
        grounds = f"{guess.grounds}, and one that ran out of memory"
    return msgspec.structs.replace(guess, low=oom, high=max(oom, floor), grounds=grounds)


def oom_need(peak: int, reserved: int, needed: int) -> float:
    """Bytes to try after a run that held so much, and did not get what it would have needed."""
    return max(max(peak, reserved) * OOM_FACTOR, needed * (1 + MARGIN))


def _utilization(asked: Asked, wanted: Arguments, known: Sequence[Profile]) -> Guess | None:
    """The highest steady share of runs with the same words on a device that is here."""
    like = [
        run
        for run in known
        if run.seen.alone >= BRIEF
        and not run.seen.assumed
        and run.seen.model in asked.models
        and read(run.program.arguments).words == wanted.words
    ]
    same = [run for run in like if read(run.program.arguments) == wanted]
    exact = [run for run in same if run.complete and not _changed(asked, run)]
    runs = exact or same or like
    if not runs:
        return None
    shares = [run.seen.utilization or 0.0 for run in runs]
    basis = Basis.LEARNED if exact else Basis.INFERRED
    grounds = f"{_runs(runs)}, while alone"
    return Guess(min(shares), min(1.0, max(shares)), basis, len(runs), grounds)


def _time(asked: Asked, same: Sequence[Profile]) -> Guess | None:
    """The longest complete run of the same program with the same arguments."""
    runs = [run for run in same if run.complete and run.ran and not _changed(asked, run)]
    if not runs:
        return None
    times = [run.ran for run in runs]
    return Guess(min(times), max(times), Basis.LEARNED, len(runs), _runs(runs))


def _is_witness(run: Profile) -> bool:
    """Whether its peak can be taken for the peak of a whole run."""
    return run.seen.known and not run.oom and (run.complete or run.settled)


def _changed(asked: Asked, run: Profile) -> bool:
    then, now = run.program, asked.program
    return (
        run.seen.model not in asked.models
        or (then.digest, then.interpreter) != (now.digest, now.interpreter)
        or not (now.digest or now.folder)  # a script that could not be read
    )


def _runs(runs: Sequence[Profile]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"
