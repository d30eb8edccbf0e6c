"""Which job a person means: a number, or a name that only one living job has."""

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State

_LONGEST = 18
"""Digits of the largest number that SQLite can give."""


def living(state: State, reference: str) -> Job | str:
    """The living job, or the sentence that says why there is none."""
    found = known(state, reference)
    if isinstance(found, Job) and found.state.ended:
        return f"job {found.id} has ended ({found.state}); gpurun status --all shows it"
    return found


def known(state: State, reference: str) -> Job | str:
    """The same, by number also one that has ended not long ago."""
    if reference.isascii() and reference.isdigit():
        job = state.find(int(reference)) if len(reference) <= _LONGEST else None
        return job or f"there is no job {reference}; gpurun status lists the jobs"
    named = [job for job in state.live() if job.spec.name == reference]
    if len(named) > 1:
        numbers = ", ".join(str(job.id) for job in named)
        return f"{reference!r} is the name of jobs {numbers}; say which by number"
    return (
        named[0] if named else f"there is no job named {reference!r}; gpurun status lists the jobs"
    )
