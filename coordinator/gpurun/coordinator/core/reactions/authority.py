"""Whose word counts for a job: its owner's and root's, by the kernel's word for the sender."""

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State
from gpurun.protocol.messages import Problem

ROOT = 0


def may_speak_for(event: MessageEvent, job: Job) -> bool:
    """Whether the sender owns the job, or everything."""
    return event.uid in (job.uid, ROOT)


def attempt_of(state: State, event: MessageEvent, job_id: int, attempt: int) -> Job | None:
    """The living job if the sender may speak for it and means its present attempt.

    Anything else is a late word, or one that is none of the sender's business: it is passed over.
    """
    job = state.jobs.get(job_id)
    if job is None or job.attempt != attempt or not may_speak_for(event, job):
        return None
    return job


def named(state: State, event: MessageEvent, reference: str) -> Job | None:
    """The living job with this number or unique name, if the sender may command it.

    Otherwise the sender is told why not, and None is returned.
    """
    matches = _matches(state, reference)
    if not matches:
        _refuse(state, event, _nothing_named(state, reference))
    elif len(matches) > 1:
        numbers = ", ".join(str(job.id) for job in matches)
        _refuse(state, event, f"{reference!r} is the name of jobs {numbers}; say which by number")
    elif not may_speak_for(event, matches[0]):
        _refuse(state, event, f"job {matches[0].id} belongs to {matches[0].user}")
    else:
        return matches[0]
    return None


def _matches(state: State, reference: str) -> list[Job]:
    if reference.isascii() and reference.isdigit():
        job = state.jobs.get(int(reference)) if len(reference) < 19 else None
        return [job] if job is not None and not job.state.ended else []
    return [job for job in state.live() if job.spec.name == reference]


def _nothing_named(state: State, reference: str) -> str:
    if reference.isascii() and reference.isdigit() and len(reference) < 19:
        job = state.find(int(reference))
        if job is not None:
            return f"job {job.id} has ended ({job.state}); gpurun status --all shows it"
        return f"there is no job {reference}; gpurun status lists the jobs"
    return f"there is no job named {reference!r}; gpurun status lists the jobs"


def _refuse(state: State, event: MessageEvent, text: str) -> None:
    state.send(event.peer, Problem(text=text, code=2))
