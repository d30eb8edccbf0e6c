"""Retry: a job that has ended is run again as the same job, by the launcher of whoever asks.

With its checkpoint it is paused and goes on from there; without one it is queued and begins anew.
"""

import msgspec

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.reactions.authority import may_speak_for, named_ended
from gpurun.coordinator.core.reference import known, still_there
from gpurun.coordinator.core.request import obstacle_for_ever, one_too_many
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import Again, JobSpec, JobState
from gpurun.protocol.messages import Problem, Retry, RetryReply, Submit


def on_retry(state: State, event: MessageEvent, message: Retry) -> None:
    """Tell the owner what to submit; nothing changes before that."""
    if job := named_ended(state, event, message.job):
        state.send(event.peer, reply(job))


def reply(job: Job) -> RetryReply:
    """By what the launcher finds what it needs to run the job again."""
    return RetryReply(job=job.id, uuid=job.uuid, state=job.state)


def lost_job(state: State, event: MessageEvent, reference: str) -> Job | None:
    """The sender's job of this number if nothing of it lives that could go on."""
    job = known(state, reference)
    if isinstance(job, str) or job.state is not JobState.LOST or not may_speak_for(event, job):
        return None
    return job


def run_again(
    state: State, event: MessageEvent, message: Submit, again: Again, job: Job | None
) -> Job | None:
    """The job, alive again; None where the sender is told why not."""
    if job is None:
        problem = Problem(text="the job is not known any more; run its command again")
    elif job.state.ended:
        merged = msgspec.structs.replace(message, spec=_merged(job.spec, message.spec))
        obstacle = obstacle_for_ever(state, merged) or one_too_many(state, merged, event.uid)
        if obstacle is None:
            return _reopen(state, job, merged.spec, again)
        problem = obstacle
    elif _says_it_again(event, message, job):
        return job
    else:
        problem = Problem(text=still_there(job), code=1)
    state.send(event.peer, problem)
    return None


def _says_it_again(event: MessageEvent, message: Submit, job: Job) -> bool:
    """Whether it is the job's own launcher, which has missed the answer."""
    sender = event.sender or Process(0, 0)
    return job.launcher == sender and job.spec.pid == message.spec.pid


def _merged(known: JobSpec, spec: JobSpec) -> JobSpec:
    """What was told and adjusted of it holds; what it waited for does not."""
    return msgspec.structs.replace(
        known, program=spec.program, no_respawn=spec.no_respawn, pid=spec.pid, after=()
    )


def _reopen(state: State, job: Job, spec: JobSpec, again: Again) -> Job:
    trigger = Trigger.AGAIN_FROM if again.checkpoint else Trigger.AGAIN
    return state.reopen(
        job,
        trigger,
        again.checkpoint,
        spec=spec,
        checkpoint=again.checkpoint,
        takes_changes=again.changed,
        changed=False,
        held=False,
        held_for="",
        after=(),
        grace=None,
        waited=0.0,  # its place is that of a job which comes now
        lapsed=None,
        process=None,
        launcher=None,
        left=job.left if job.charged else None,
    )
