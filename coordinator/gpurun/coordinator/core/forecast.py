"""When jobs are expected to end, as told or learned, and when a blocked one could start.

For the pause decision and for people: no admission depends on it. What trainings say of their steps
is for people alone: a script may train again after its last step, and whoever has a few seconds
left of each of many short trainings would never be asked to step aside.
"""

from collections.abc import Mapping

from gpurun.coordinator.core.admission import judge
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.known import expected_time
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.progress import Progress, time_left
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobState

RUNS = (JobState.STARTING, JobState.RUNNING, JobState.PAUSING)


Said = Mapping[int, Progress]
"""How far trainings say they are, by the numbers of their jobs."""
_NOTHING: Said = {}


def remaining(job: Job, now: float, said: Said = _NOTHING) -> float | None:
    """Seconds until the job ends, as told, said or learned; None where unknown, or it was wrong."""
    if job.left is not None:
        return 0.0
    if job.spec.time is None and job.state in RUNS and job.id in said:
        steps_left = time_left(said[job.id], now)
        if steps_left is not None:
            return steps_left
    whole = expected_time(job)
    if whole is None or job.state not in RUNS:
        return None
    left = whole - job.ran - (now - job.since if job.state is not JobState.STARTING else 0)
    return left if left > 0 else None


def wait_on(
    load: Load,
    blocked: Job,
    jobs: Mapping[int, Job],
    settings: Settings,
    now: float,
    said: Said = _NOTHING,
) -> float | None:
    """Seconds until enough has ended on this device for the job to fit; None if that is unknown."""
    ends = [
        (left, number)
        for number in load.charges
        if number in jobs and (left := remaining(jobs[number], now, said)) is not None
    ]
    gone: frozenset[int] = frozenset()
    for left, number in sorted(ends):
        gone |= {number}
        if judge(blocked, load.without(gone), settings).fits:
            return left
    return None
