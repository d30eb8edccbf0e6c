"""What launchers are told while their jobs wait, and how rarely.

Each hears at once where it stands when it comes, and again when the pass has looked at its job.
Of the many behind, whose place changes with every start, a few are told anew in each pass.
"""

from collections.abc import Iterable

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.reasons import reason_of
from gpurun.coordinator.core.state import State
from gpurun.protocol.messages import Waiting

SWEEP = 8
"""Jobs behind those that the pass looked at that are told their places anew."""


def tell(state: State, looked_at: Iterable[Job]) -> None:
    """Tell each launcher for which something has changed why its job waits, and behind how many."""
    for ahead, job in enumerate(looked_at):
        _tell(state, job, ahead)
    for number in sorted(state.untold):
        if number in state.jobs:
            _tell(state, state.jobs[number], state.jobs.ahead_of(number))
    for job in _swept(state):
        _tell(state, job, state.jobs.ahead_of(job.id))


def _tell(state: State, job: Job, ahead: int) -> None:
    state.untold.discard(job.id)
    job = state.jobs.get(job.id, job)
    reason = reason_of(state, job)
    if reason is None:
        return
    # The bytes that are missing change all the time: nobody would hear the difference.
    said = (reason.code, reason.text, ahead)
    if state.told.get(job.id) != said:
        state.told[job.id] = said
        state.send(state.launchers.get(job.id), Waiting(job=job.id, reason=reason, ahead=ahead))


def _swept(state: State) -> list[Job]:
    """The next few of the queue, round and round."""
    begin = state.swept if state.swept < state.jobs.queued else 0
    state.swept = begin + SWEEP
    behind = state.jobs.some(begin, SWEEP)
    return [job for job in behind if job.id not in state.reasons]
