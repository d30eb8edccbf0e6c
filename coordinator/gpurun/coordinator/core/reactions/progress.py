"""Progress: a training says how far it is. Nothing is decided by that, and nothing written."""

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.progress import moved_on
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Progress

_TRAINS = (JobState.RUNNING, JobState.PAUSING)


def on_progress(state: State, event: MessageEvent, message: Progress) -> None:
    """Remember it until the attempt is over."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state.ended:
        return
    since = job.since if job.state in _TRAINS else None
    before = state.progress.get(job.id)
    state.progress[job.id] = moved_on(before, message, state.now.boot, since)
