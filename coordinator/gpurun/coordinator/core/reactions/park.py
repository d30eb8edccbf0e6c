"""Released: a job parks. Its state is in host memory, and its device's memory is given back.

It counts when a look that began afterwards has shown what is kept: that stays charged.
"""

import msgspec

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, PauseOrder, Stage, Way
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
        now, held = state.now.boot, _held(state, job)
        stage = Stage.CAPTURING if order.stage is Stage.ASKED else order.stage
        captured = order.captured or now
        order = msgspec.structs.replace(
            order, stage=stage, captured=captured, released=now, kept=kept, held=held
        )
        whole = tuple(
            msgspec.structs.replace(one, memory=max(one.memory, held)) for one in job.reservations
        )
        state.update(job, Note.GAVE_BACK, detail, pause=order, reservations=whole)
    state.look()


def _held(state: State, job: Job) -> int:
    """Bytes of a device that it was last seen to use: it will take as much back."""
    devices = [state.devices.get(held.device) for held in job.reservations]
    seen = [d.observed(job.id) for d in devices if d is not None and not d.assumes(job.id)]
    return max((size for size in seen if size is not None), default=0)


def see_parked(state: State) -> None:
    """Pause the jobs that have said Released before their devices were looked at."""
    for job in state.charged():
        order = job.pause
        if order is None or order.how is not Way.PARK or not order.released:
            continue
        if job.state is JobState.PAUSING and _all_seen(state, job, order.released):
            _parked(state, job, order)


def _all_seen(state: State, job: Job, released: float) -> bool:
    """Whether looks that began after the release have shown what the job holds."""
    devices = [state.devices.get(held.device) for held in job.reservations]
    return job.left is None and all(
        device is not None
        and device.answers
        and device.taken >= released
        and device.freed(job.id, released)
        for device in devices
    )


def _parked(state: State, job: Job, order: PauseOrder) -> None:
    """Charged from now on for what it says it keeps, and for more where more is seen."""
    leaving = state.now.boot - order.captured
    state.forget_windows(job)
    job = state.move(
        job,
        Trigger.PARK,
        f"keeps {format_size(order.kept)}",
        pauses=job.pauses + 1,
        park_cost=msgspec.structs.replace(job.park_cost, leaving=leaving),
        regains=job.reservations,
        reservations=tuple(
            msgspec.structs.replace(held, memory=min(held.memory, order.kept), utilization=0.0)
            for held in job.reservations
        ),
    )
    tell_paused(state, job)
