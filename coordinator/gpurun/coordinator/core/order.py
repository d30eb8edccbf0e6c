"""Who goes next: priority, then age. Priority orders the queue and never lifts a cap."""

from collections.abc import Iterable

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.settings import Pausing
from gpurun.protocol.job import JobState


def in_order(jobs: Iterable[Job], pausing: Pausing, now: float) -> list[Job]:
    """The waiting jobs, first in line first.

    A job that has been paused for `max_paused` heads the queue: it has given way long enough.
    """
    return sorted(jobs, key=lambda job: (not absent_too_long(job, pausing, now), *rank(job)))


def rank(job: Job) -> tuple[int, int]:
    """The order of two jobs that have waited alike; job numbers grow with age."""
    return -job.spec.priority, job.id


def absent_too_long(job: Job, pausing: Pausing, now: float) -> bool:
    """Whether the job has been paused for longer than anyone may ask of it."""
    return job.state is JobState.PAUSED and not job.held and now - job.since >= pausing.max_paused
