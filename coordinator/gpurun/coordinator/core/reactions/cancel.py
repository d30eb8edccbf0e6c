"""Cancel: out of the queue, or SIGTERM and after a grace SIGKILL by the launcher."""

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.reactions.authority import named
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.messages import Cancel, Done, Problem, Terminate

LONGEST_GRACE = 86_400.0
"""Seconds: a day."""


def on_cancel(state: State, event: MessageEvent, message: Cancel) -> None:
    """Answered at once; the end of a running job shows when its processes are gone."""
    job = named(state, event, message.job)
    if job is None:
        return
    launcher = state.launchers.get(job.id)
    if job.process is not None and job.launcher is None:
        text = f"the launcher of {job.label} is gone; end it with kill {job.process.pid}"
        state.send(event.peer, Problem(text=text, code=1))
        return
    grace = min(max(0.0, message.grace), LONGEST_GRACE)
    state.send(launcher, Terminate(job=job.id, grace=grace))
    state.send(event.peer, Done(job=job.id, text=f"{job.label} is cancelled"))
    _cancel(state, job, grace)


def _cancel(state: State, job: Job, grace: float) -> None:
    if job.process is None and job.lease is None:
        state.move(job, Trigger.END_CANCELLED, "by a person", left=state.now.boot)
        state.look()
    else:
        state.move(job, Trigger.CANCEL, "by a person", grace=grace)
