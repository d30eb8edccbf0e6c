"""The rehearsal of a pause: the job steps aside and goes on at once, and what that took is told.

That it is only tried stands in its order, and so in the store: whatever becomes of the coordinator,
the job goes on. What was measured does not outlive the coordinator, nor does who waits for it.
"""

import msgspec

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.events import Peer
from gpurun.coordinator.core.job import Job, PauseOrder, Way
from gpurun.coordinator.core.pausing import ways
from gpurun.coordinator.core.rehearsal import Rehearsal, report
from gpurun.coordinator.core.state import State
from gpurun.protocol.messages import Durable, Problem, Rehearsed
from gpurun.protocol.quantity import format_size


def begin(state: State, job: Job, how: Way, peer: Peer) -> None:
    """Ask the job to step aside in this way; an earlier rehearsal may still wait for its disk."""
    if (before := state.rehearsals.get(job.id)) is not None:
        text = f"{job.label} rehearses anew, and its last checkpoint is not on disk yet"
        state.send(before.peer, Problem(text=text, code=1))
    job = orders.ask(state, job, how, rehearsal=True)
    state.rehearsals[job.id] = Rehearsal(peer, how, job.request, state.now.boot)


def stepped_aside(state: State, job: Job) -> None:
    """The job is paused: it goes on with the pass that follows."""
    tried, order = state.rehearsals.get(job.id), job.pause
    if tried is None or order is None:
        return
    state.rehearsals[job.id] = msgspec.structs.replace(
        tried,
        captured=order.captured,
        freed=state.now.boot - order.captured,
        kept=orders.seen_to_keep(state, job) or 0,
    )


def saved(state: State, job: Job, message: Durable) -> None:
    """Its checkpoint is on disk."""
    size = format_size(message.size)
    text = f"saved {size} in {message.seconds:.2f} s to {message.checkpoint}"
    _take(state, job, message.request, text)


def unsaved(state: State, job: Job, request: int, text: str) -> None:
    """Its checkpoint could not be written."""
    _take(state, job, request, f"not saved ({text})")


def came_back(state: State, job: Job, step: int) -> None:
    """The job trains again; whoever waits for others to step aside may ask it now."""
    tried = state.rehearsals.get(job.id)
    if tried is not None and job.is_tried:
        took = state.now.boot - job.since
        state.rehearsals[job.id] = msgspec.structs.replace(tried, step=step, returning=took)
        _tell(state, job)
    state.pass_wanted |= job.is_tried


def refused(state: State, job: Job, text: str) -> None:
    """The job cannot step aside in this way, and goes on."""
    tried = state.rehearsals.pop(job.id, None)
    if tried is not None:
        text = f"{job.label} cannot {tried.how}: {text}"
        further = _further(job, tried.how)
        state.send(tried.peer, Rehearsed(job=job.id, text=text, refused=True, further=further))


def in_earnest(state: State, job: Job, why: str) -> PauseOrder | None:
    """The order under way, which is not only tried any more: the job stays paused."""
    break_off(state, job, why)
    order = job.pause
    return None if order is None else msgspec.structs.replace(order, rehearsal=False)


def break_off(state: State, job: Job, why: str) -> None:
    """The pause is not only tried any more."""
    tried = state.rehearsals.pop(job.id, None)
    if tried is not None:
        text = f"{job.label} does not go on at once: {why}"
        state.send(tried.peer, Problem(text=text, code=1))


def _take(state: State, job: Job, request: int, text: str) -> None:
    tried = state.rehearsals.get(job.id)
    if tried is not None and tried.request == request:
        state.rehearsals[job.id] = msgspec.structs.replace(tried, saved=text)
        _tell(state, job)


def _tell(state: State, job: Job) -> None:
    """Answer once all of it is known."""
    tried = state.rehearsals[job.id]
    if tried.complete:
        del state.rehearsals[job.id]
        text, further = report(job.label, tried), _further(job, tried.how)
        state.send(tried.peer, Rehearsed(job=job.id, text=text, further=further))


def _further(job: Job, how: Way) -> str:
    offered = ways(job)
    return next(iter(offered[offered.index(how) + 1 :]), "") if how in offered else ""
