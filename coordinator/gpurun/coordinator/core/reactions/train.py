"""Capturing, Overdue, Durable, Saved, Unsaved, Refused, Resumed: the SDK speaks from the loop."""

import msgspec

from gpurun.coordinator.core import orders, rehearsing
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, PauseCost, Stage, Way
from gpurun.coordinator.core.pausing import DAY, ways
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.coordinator.core.words import step_text
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import (
    Capturing,
    Durable,
    EndTree,
    GoOn,
    Overdue,
    Refused,
    Resumed,
    Saved,
    Unsaved,
)


def on_capturing(state: State, event: MessageEvent, message: Capturing) -> None:
    """The point of no return: from here on the pause is not withdrawn."""
    job = attempt_of(state, event, message.job, message.attempt)
    order = orders.order_of(job, message.request) if job is not None else None
    if job is not None and order is not None and order.stage is Stage.ASKED:
        order = msgspec.structs.replace(order, stage=Stage.CAPTURING, captured=state.now.boot)
        state.move(job, Trigger.CAPTURING, pause=order)


def on_overdue(state: State, event: MessageEvent, message: Overdue) -> None:
    """A safe point after the deadline: whoever still wants the pause asks again."""
    job = attempt_of(state, event, message.job, message.attempt)
    order = orders.order_of(job, message.request) if job is not None else None
    if job is not None and order is not None and order.stage is Stage.ASKED:
        orders.renew(state, job, order)


def on_durable(state: State, event: MessageEvent, message: Durable) -> None:
    """The checkpoint is on disk and the training stands still."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state.ended:
        return
    rehearsing.saved(state, job, message)
    detail = f"step {message.step}, {message.size} bytes in {message.seconds:.3f} s"
    if orders.parks_for(job, message.request):
        saved(state, job, message.checkpoint, detail)
    elif orders.order_of(job, message.request) is None:
        if job.state not in (JobState.QUEUED, JobState.STARTING):
            state.move(job, Trigger.DURABLE, detail, checkpoint=message.checkpoint)
        state.send(event.peer, GoOn(job=job.id, request=message.request))
    else:
        rest(state, job, message.request, message.checkpoint, detail)


def on_saved(state: State, event: MessageEvent, message: Saved) -> None:
    """After a crash it goes on from here; one that a pause saved later stays the last."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.process is None or job.state.ended:
        return
    if job.pause is None or job.pause.stage not in (Stage.DURABLE, Stage.ENDED):
        detail = f"step {message.step}, {message.size} bytes in {message.seconds:.3f} s"
        state.update(job, Note.SAVED, detail, checkpoint=message.checkpoint)


def on_unsaved(state: State, event: MessageEvent, message: Unsaved) -> None:
    """The checkpoint of a parked job did not come on disk: it can only go on from memory."""
    job = attempt_of(state, event, message.job, message.attempt)
    order = None if job is None or job.state.ended else job.pause
    if job is not None:
        rehearsing.unsaved(state, job, message.request, message.text)
    if job is not None and order is not None and orders.parks_for(job, message.request):
        order = msgspec.structs.replace(order, unsaved=True)
        state.update(job, Note.UNSAVED, message.text, pause=order)
        state.pass_wanted = True


def on_refused(state: State, event: MessageEvent, message: Refused) -> None:
    """Something stands in the way of a pause that loses nothing."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and orders.order_of(job, message.request) is not None:
        rehearsing.refused(state, job, message.text)
        orders.refused(state, job, message.text)


def on_resumed(state: State, event: MessageEvent, message: Resumed) -> None:
    """The state of the checkpoint is back; who gave way to others is left in peace for a while."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state is not JobState.RESUMING:
        return
    asked = state.asked_to_pause.pop(job.id, [])
    rehearsing.came_back(state, job, message.step)
    # Who speaks was spawned, also where its launcher has not said so yet.
    changes = {"lease": None, **came_back(state, job), **_return_cost(state, job)}
    job = state.move(job, Trigger.RESUMED, step_text(message.step), **changes)
    state.look()  # its memory is its own again
    if asked:
        orders.ask(state, job, (ways(job) or (Way.EXIT,))[-1])
        state.asked_to_pause[job.id] = asked


def came_back(state: State, job: Job) -> dict[str, object]:
    """What changes with the end of an absence, however it came."""
    gave_way = job.pause is not None and not job.pause.by_user
    returned = state.now.boot if gave_way else job.returned
    return {"pause": None, "returned": returned, "away": _away(state, job)}


def _return_cost(state: State, job: Job) -> dict[str, PauseCost]:
    """What it took since the grant; one that stood was there."""
    way = Way.EXIT if job.pause is None else job.pause.how
    if way is Way.STAND:
        return {}
    field = f"{way}_cost"
    took = state.now.boot - job.since
    return {field: msgspec.structs.replace(getattr(job, field), returning=took)}


def _away(state: State, job: Job) -> tuple[tuple[float, float], ...]:
    """The absences of the last day, with this one where it was for another user."""
    now, order = state.now.boot, job.pause
    away = tuple(span for span in job.away if span[1] > now - DAY)
    if order is None:
        return away
    waiters = [state.find(waiter) for waiter in order.waiters]
    others = any(waiter is not None and waiter.uid != job.uid for waiter in waiters)
    return (*away, (order.captured, now)) if others else away


def saved(state: State, job: Job, checkpoint: str, detail: str) -> Job:
    """The checkpoint of a job that parks is on disk: it may leave altogether."""
    order = job.pause
    if order is None or (order.stage is Stage.DURABLE and job.checkpoint == checkpoint):
        return job
    captured = order.captured or state.now.boot
    order = msgspec.structs.replace(order, stage=Stage.DURABLE, captured=captured)
    state.pass_wanted = True
    return state.move(job, Trigger.DURABLE, detail, pause=order, checkpoint=checkpoint)


def rest(state: State, job: Job, request: int, checkpoint: str, detail: str) -> None:
    """Have the launcher end the tree: it acknowledges by doing so, and will spawn it again."""
    order = orders.order_of(job, request)
    if order is None or order.stage is Stage.ENDED:
        return
    if order.how is not Way.EXIT or not checkpoint:
        state.tell_training(job, GoOn(job=job.id, request=request))
        return
    if order.stage is not Stage.DURABLE:
        captured = order.captured or state.now.boot
        done = msgspec.structs.replace(order, stage=Stage.DURABLE, captured=captured)
        job = state.move(job, Trigger.DURABLE, detail, pause=done, checkpoint=checkpoint)
    end = EndTree(job=job.id, attempt=job.attempt, request=request)
    state.send(state.launchers.get(job.id), end)
