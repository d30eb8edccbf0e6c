"""Who goes next: priority, then age. Priority orders the queue and never lifts a cap.

Waiting counts like priority: `[queue] ageing` seconds of it as much as one step. All age alike,
so that the order of two waiting jobs never changes by itself, and a place is a constant:
the instant of arrival less what the priority is worth.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gpurun.coordinator.core.job import Job, Stage
from gpurun.coordinator.core.settings import Pausing
from gpurun.protocol.job import JobState

if TYPE_CHECKING:
    from gpurun.coordinator.core.jobs import Jobs

_ASKED = frozenset({JobState.PAUSING, JobState.PAUSED})
Place = tuple[float, int, int]
"""A place in the queue: the smaller goes first. Ends with the job's number."""


def arrival_place(job: Job, ageing: float) -> Place:
    """Of a job that waits for its first start; a lease that lapsed takes nothing from its age."""
    return job.since - job.waited - job.spec.priority * ageing, 1, job.id


def return_place(job: Job, ageing: float, first: Place | None) -> Place:
    """Of a paused job: as if it came now, but before the first that has no higher priority.

    Whoever gave way goes on before others of its kind begin.
    """
    place = job.aside_since - job.spec.priority * ageing
    return (place if first is None else min(place, first[0])), 0, job.id


def in_order(jobs: "Jobs", pausing: Pausing, now: float) -> Iterator[Job]:
    """The waiting jobs, first in line first.

    Who only rehearses a pause heads the queue: its room is its own. Then comes who has been paused
    for `max_paused`: it has given way long enough. Then those for whom others step aside: the room
    that this frees is theirs.
    """
    asked = [job for job in jobs.active() if job.state in _ASKED]
    first = {job.id: job for job in asked if job.rehearses}
    back = [job for job in asked if absent_too_long(job, pausing, now)]
    for job in sorted(back, key=rank):
        first.setdefault(job.id, job)
    for waiter in sorted(_beneficiaries(asked, jobs), key=rank):
        first.setdefault(waiter.id, waiter)
    yield from first.values()
    yield from (job for job in jobs.queue() if job.id not in first)


def rank(job: Job) -> tuple[int, int]:
    """The order of two jobs that have waited alike; job numbers grow with age."""
    return -job.spec.priority, job.id


def absent_too_long(job: Job, pausing: Pausing, now: float) -> bool:
    """Whether the job has been paused for longer than anyone may ask of it."""
    gave_way = job.state is JobState.PAUSED and job.pause is not None
    return gave_way and job.ready and now - job.aside_since >= pausing.max_paused


def _beneficiaries(asked: list[Job], jobs: "Jobs") -> list[Job]:
    """Jobs in the queue for whom a pause has passed its point of no return."""
    orders = [job.pause for job in asked]
    waiters = {w for o in orders if o is not None and o.stage is not Stage.ASKED for w in o.waiters}
    return [jobs[waiter] for waiter in waiters if waiter in jobs and jobs[waiter].ready]
