"""Why a job waits. What the last pass found is kept; all else follows from the job itself."""

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState, ReasonCode, WaitReason


def reason_of(state: State, job: Job) -> WaitReason | None:
    """Why the job waits; for one that is asked to pause, that it has not come to a safe point."""
    if job.state.waits:
        first = _HELLOS if state.expected else _AHEAD
        return own_reason(state, job) or state.reasons.get(job.id) or first
    if job.state is JobState.PAUSING and job.pause is not None and job.pause.overdue:
        return WaitReason(ReasonCode.SAFE_POINT, "asked to pause; waiting for a safe point")
    return None


def own_reason(state: State, job: Job) -> WaitReason | None:
    """Why the job would wait on an empty machine too."""
    if job.held:
        text = job.held_for or f"held by hand; gpurun resume {job.id} lets it go on"
        return WaitReason(ReasonCode.CHANGED if job.changed else ReasonCode.HELD, text)
    if job.left is not None and job.process is None:
        return WaitReason(ReasonCode.STALE, "its last attempt is not yet seen gone")
    if job.left is not None:
        text = "its process has ended, and its launcher has not said how"
        return WaitReason(ReasonCode.STOPPED, text)
    if job.after:
        names = ", ".join(_label(state, number) for number in job.after)
        return WaitReason(ReasonCode.AFTER, f"starts when {names} has finished")
    if job.stopped or (job.id not in state.launchers and not job.stays):
        return WaitReason(ReasonCode.STOPPED, "its launcher is stopped; fg in its shell")
    if state.drained and not job.rehearses:  # it is one of those that run already
        text = "nothing new is admitted; gpurun drain --off ends that"
        return WaitReason(ReasonCode.DRAINED, text)
    return None


_HELLOS = WaitReason(ReasonCode.AHEAD, "a new coordinator first hears from those that run already")
_AHEAD = WaitReason(ReasonCode.AHEAD, "those ahead of it have a claim to all the room there is")


def _label(state: State, number: int) -> str:
    job = state.find(number)
    return job.label if job else f"job {number}"
