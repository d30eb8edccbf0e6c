"""Resume: back into the queue, with no right to go before anyone; a lost job is run again."""

import msgspec

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, PauseOrder, Stage
from gpurun.coordinator.core.reactions.authority import named
from gpurun.coordinator.core.reactions.retry import lost_job, reply
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Done, Problem, Resume


def on_resume(state: State, event: MessageEvent, message: Resume) -> None:
    """Let a held job go on; answered at once."""
    if ended := lost_job(state, event, message.job):
        state.send(event.peer, reply(ended))
        return
    job = named(state, event, message.job)
    if job is None:
        return
    if job.changed and not message.changed:
        state.send(event.peer, Problem(text=f"{job.label} is held: {job.held_for}", code=1))
        return
    if not job.state.waits and job.state is not JobState.PAUSING:
        state.send(event.peer, Problem(text=f"{job.label} is {job.state} already", code=1))
        return
    order = job.pause
    if order is not None and order.stage is Stage.ASKED and not order.waiters:
        job = orders.withdraw(state, job, order, "resumed before it had paused")
    else:
        job = state.move(
            job,
            Trigger.RESUME,
            "with changed files" if job.changed else "",
            held=False,
            held_for="",
            changed=False,
            takes_changes=message.changed,
            pause=_without_the_person(order),
        )
        state.pass_wanted = True
    state.send(event.peer, Done(job=job.id, text=_text(job)))


def _without_the_person(order: PauseOrder | None) -> PauseOrder | None:
    """What the scheduler asked for as well goes on."""
    return None if order is None else msgspec.structs.replace(order, by_user=not order.waiters)


def _text(job: Job) -> str:
    if job.state is JobState.RUNNING:
        return f"{job.label} goes on"
    if job.state is JobState.PAUSING:
        waiters = ", ".join(str(waiter) for waiter in job.pause.waiters) if job.pause else ""
        whom = f" for job {waiters}" if waiters else ""
        return f"{job.label} steps aside{whom} and goes on as soon as there is room"
    return f"{job.label} is back in the queue"
