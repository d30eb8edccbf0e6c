"""Released: a job parks. Its state is in host memory, and its device's memory is given back.

It is believed when a look that began afterwards has shown what it keeps; that stays charged.
"""

import msgspec

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, PauseOrder, Reservation, Stage, Way
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.reactions.release import tell_paused
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import GoOn, Released
from gpurun.protocol.quantity import format_size


def on_released(state: State, event: MessageEvent, message: Released) -> None:
    """The training says that it has given its memory back, but for what it keeps."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state.ended:
        return
    order = orders.order_of(job, message.request)
    if order is not None and order.how is Way.PARK:
        give_back(state, job, order, message.kept, f"at step {message.step}")
    elif not orders.rests_for(job, message.request):
        state.send(event.peer, GoOn(job=job.id, request=message.request))


def give_back(state: State, job: Job, order: PauseOrder, kept: int, detail: str) -> None:
    """Look whether it is true."""
    if not order.released:
        now = state.now.boot
        stage = Stage.CAPTURING if order.stage is Stage.ASKED else order.stage
        captured = order.captured or now
        order = msgspec.structs.replace(
            order, stage=stage, captured=captured, released=now, kept=kept
        )
        state.update(job, Note.GAVE_BACK, detail, pause=order)
    state.look()


def see_parked(state: State) -> None:
    """Pause the jobs that have said Released before their devices were looked at."""
    for job in state.charged():
        order = job.pause
        parks = order is not None and order.how is Way.PARK and order.released > 0
        if order is not None and parks and job.state is JobState.PAUSING and job.left is None:
            kept = [_kept(state, job, order, held) for held in job.reservations]
            if None not in kept:
                _parked(state, job, order, tuple(held for held in kept if held is not None))


def _kept(state: State, job: Job, order: PauseOrder, held: Reservation) -> Reservation | None:
    """What it was seen to keep of one device; None while that has not been looked at."""
    device = state.devices.get(held.device)
    if device is None or not device.answers or device.taken < order.released:
        return None
    if not device.freed(job.id, order.released):
        return None
    seen = 0 if device.assumes(job.id) else device.observed(job.id) or 0
    return msgspec.structs.replace(held, memory=max(seen, order.kept), utilization=0.0)


def _parked(state: State, job: Job, order: PauseOrder, kept: tuple[Reservation, ...]) -> None:
    leaving = state.now.boot - order.captured
    state.forget_windows(job)
    most = max((held.memory for held in kept), default=0)
    job = state.move(
        job,
        Trigger.PARK,
        f"keeps {format_size(most)}",
        pauses=job.pauses + 1,
        parked_memory=most,
        park_cost=msgspec.structs.replace(job.park_cost, leaving=leaving),
        regains=job.reservations,
        reservations=kept,
    )
    tell_paused(state, job)
