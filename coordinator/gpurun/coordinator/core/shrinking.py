"""Shrinking gives room that must never be wanted back.

What was told is never shrunk. All else shrinks to what complete runs of the program needed, the
job's own whole cycle being one; without them only after `[estimate] settle`.
"""

import msgspec

from gpurun.coordinator.core.estimator.estimate import MARGIN
from gpurun.coordinator.core.estimator.guess import Guess
from gpurun.coordinator.core.estimator.seen import Seen
from gpurun.coordinator.core.job import Basis, Job, Reservation
from gpurun.coordinator.core.needs import need_of
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import format_share, format_size


def shrink(state: State) -> None:
    """Give back what running jobs have reserved and will not need."""
    for job in state.charged():
        seen = state.seen_of(job)
        if job.state is JobState.RUNNING and seen is not None and seen.known:
            _shrink(state, job, seen)


def _shrink(state: State, job: Job, seen: Seen) -> None:
    memory, share = _memory(state, job, seen), _share(state, job, seen)
    if memory is None and share is None:
        return
    smaller = tuple(_smaller(held, memory, share) for held in job.reservations)
    if smaller == job.reservations:
        return
    detail = f"to {format_size(smaller[0].memory)} and {format_share(smaller[0].utilization)}"
    state.update(job, Note.SHRINK, detail, reservations=smaller)
    state.pass_wanted = True


def _smaller(held: Reservation, memory: int | None, share: float | None) -> Reservation:
    return msgspec.structs.replace(
        held,
        memory=held.memory if memory is None else min(held.memory, memory),
        utilization=held.utilization if share is None else min(held.utilization, share),
    )


def _memory(state: State, job: Job, seen: Seen) -> int | None:
    """Bytes that are enough; None where nothing says so."""
    if job.basis is Basis.TOLD:
        return None
    enough = int((seen.memory or 0) * (1 + MARGIN))
    learned = _learned(need_of(state, job.uid, job.spec, (job,)).memory)
    if learned is not None:
        return max(enough, int(learned))
    return enough if _has_settled(state, job, seen) else None


def _share(state: State, job: Job, seen: Seen) -> float | None:
    """The share of time that is enough; None where nothing says so."""
    if job.spec.utilization is not None:
        return None
    learned = _learned(need_of(state, job.uid, job.spec, (job,)).utilization)
    if learned is not None:
        return max(learned, seen.utilization or 0.0)
    return seen.utilization if _has_settled(state, job, seen) else None


def _learned(guess: Guess | None) -> float | None:
    return guess.high if guess is not None and guess.basis is Basis.LEARNED else None


def _has_settled(state: State, job: Job, seen: Seen) -> bool:
    """Whether a job of unknown need has had no new peak for as long as the configuration asks."""
    settle = state.settings.estimate.settle
    ran = job.ran + max(0.0, state.now.boot - job.since)
    return job.basis is Basis.UNKNOWN and settle is not None and ran - seen.plateau >= settle
