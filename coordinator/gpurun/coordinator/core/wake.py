"""When time alone changes something."""

from gpurun.coordinator.core.job import Stage
from gpurun.coordinator.core.lease import LEASE_SLACK
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState


def wake_at(state: State) -> float | None:
    """The next instant (CLOCK_BOOTTIME) at which time alone changes something."""
    pause = state.settings.pause
    instants = [state.quiet_until] if state.expected else []
    instants += state.retries.values()
    active = state.jobs.active()
    for job in active:
        if job.state is JobState.PAUSED:
            instants.append(job.aside_since + pause.max_paused)
        if job.lease is not None:
            instants.append(job.lease + LEASE_SLACK)
        if job.pause and job.state is JobState.PAUSING and job.pause.stage is Stage.ASKED:
            instants.append(job.pause.deadline)
    if state.jobs.queued:
        returns = [job.returned for job in active if job.returned is not None]
        instants += [returned + pause.min_run for returned in returns]
    return min((instant for instant in instants if instant > state.timed), default=None)
