"""Which job a person means: a number, or a name that only one living job has."""

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState

_LONGEST = 18
"""Digits of the largest number that SQLite can give."""


def living(state: State, reference: str) -> Job | str:
    """The living job, or the sentence that says why there is none."""
    found = known(state, reference)
    if isinstance(found, Job) and found.state.ended:
        return f"job {found.id} has ended ({found.state}); gpurun status --all shows it"
    return found


def ended(state: State, reference: str) -> Job | str:
    """The job that has ended, or the sentence that says why there is none."""
    found = known(state, reference)
    if isinstance(found, Job):
        return found if found.state.ended else still_there(found)
    left = [job for job in (*state.ended.values(), *state.jobs.values()) if job.state.ended]
    return _only(reference, [job for job in left if job.spec.name == reference]) or found


def still_there(job: Job) -> str:
    """What to do about a job that should have ended."""
    how = "runs" if job.state is JobState.RUNNING else f"is {job.state}"
    return f"{job.label} {how}; gpurun cancel {job.id} ends it"


def known(state: State, reference: str) -> Job | str:
    """The same, by number also one that has ended not long ago."""
    if reference.isascii() and reference.isdigit():
        job = state.find(int(reference)) if len(reference) <= _LONGEST else None
        return job or f"there is no job {reference}; gpurun status lists the jobs"
    found = _only(reference, [job for job in state.live() if job.spec.name == reference])
    return found or f"there is no job named {reference!r}; gpurun status lists the jobs"


def _only(name: str, named: list[Job]) -> Job | str | None:
    """The one job of that name, None where there is none, and for several what to say instead."""
    if len(named) > 1:
        numbers = ", ".join(str(job.id) for job in named)
        return f"{name!r} is the name of jobs {numbers}; say which by number"
    return named[0] if named else None
