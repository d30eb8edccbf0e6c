"""Standing: a job steps aside where it is, with all that it holds, and goes on from there."""

import msgspec

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, PauseOrder, Reservation, Stage, Way
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.reactions.release import tell_paused
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.coordinator.core.words import step_text
from gpurun.protocol.messages import GoOn, Standing


def on_standing(state: State, event: MessageEvent, message: Standing) -> None:
    """The training computes nothing more; its time is free, its memory is not."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state.ended or job.left is not None:
        return
    order = orders.order_of(job, message.request)
    if order is not None and order.how is Way.STAND:
        come_to_stand(state, job, order, step_text(message.step))
    elif not orders.rests_for(job, message.request):
        state.send(event.peer, GoOn(job=job.id, request=message.request))


def come_to_stand(state: State, job: Job, order: PauseOrder, detail: str) -> None:
    """It is paused from here on."""
    order = msgspec.structs.replace(order, stage=Stage.ENDED, captured=state.now.boot)
    state.forget_windows(job)
    job = state.move(
        job,
        Trigger.STAND,
        detail,
        pause=order,
        pauses=job.pauses + 1,
        regains=job.reservations,
        reservations=tuple(map(still, job.reservations)),
    )
    state.look()
    tell_paused(state, job)


def still(held: Reservation) -> Reservation:
    """What one that stands is charged with: its memory, and none of the time."""
    return msgspec.structs.replace(held, utilization=0.0)


def go_on(state: State, job: Job) -> Job:
    """There is room for it again where it stays: it says Resumed when it does."""
    request = job.pause.request if job.pause is not None else 0
    kept = orders.seen_to_keep(state, job)
    job = state.move(
        job,
        Trigger.GRANT,
        "goes on where it is",
        parked_memory=kept,
        reservations=job.regains,
        regains=(),
    )
    state.forget_windows(job)
    state.tell_training(job, GoOn(job=job.id, request=request))
    return job
