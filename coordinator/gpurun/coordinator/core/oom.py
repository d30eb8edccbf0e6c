"""Whether a job ran out of memory, and what to try next.

That a reservation was reached says nothing: it is no limit. What says it is the training, or the
driver, or a device that was full when the job failed by itself.
"""

from gpurun.coordinator.core.estimator.estimate import oom_need
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State

FIRST_OF_SHELL = 126
"""Exit codes from here on are not the program's own: not found, or ended by a signal."""


def ran_out(state: State, job: Job, code: int) -> bool:
    """Whether this end, with this exit code, is one for lack of memory."""
    if code == 0 or job.cancelling:
        return False
    seen = state.seen_of(job)
    full = seen is not None and seen.full and bool(seen.memory)
    return job.oom or (full and code < FIRST_OF_SHELL)


def try_next(state: State, job: Job) -> int:
    """Bytes to ask for after an end for lack of memory; 0 where no device has more."""
    if not job.oom:
        return 0
    peak = (job.seen.memory or 0) if job.seen else 0
    most = max((device.sample.total or 0 for device in state.devices.values()), default=0)
    had_it_all = max(peak, job.granted) >= int(state.settings.limits.memory * most)
    if had_it_all or job.needed > most:
        return 0
    return min(int(oom_need(peak, job.granted, job.needed)), most)
