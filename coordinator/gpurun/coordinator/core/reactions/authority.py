"""Whose word counts for a job: its owner's and root's, by the kernel's word for the sender."""

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.reference import ended, living
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
    return _commanded(state, event, living(state, reference))


def named_ended(state: State, event: MessageEvent, reference: str) -> Job | None:
    """The same for a job that has ended."""
    return _commanded(state, event, ended(state, reference))


def _commanded(state: State, event: MessageEvent, found: Job | str) -> Job | None:
    if isinstance(found, str):
        state.send(event.peer, Problem(text=found, code=2))
    elif not may_speak_for(event, found):
        text = f"job {found.id} belongs to {found.user}"
        state.send(event.peer, Problem(text=text, code=2))
    else:
        return found
    return None
