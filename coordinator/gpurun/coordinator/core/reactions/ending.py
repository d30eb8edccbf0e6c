"""Exited: the main process has ended, for a pause that asked for it or for good."""

import msgspec

from gpurun.coordinator.core.end_words import end_text
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, PauseOrder
from gpurun.coordinator.core.lease import reclaim
from gpurun.coordinator.core.oom import ran_out, try_next
from gpurun.coordinator.core.reactions.authority import may_speak_for
from gpurun.coordinator.core.reactions.release import tree_ended
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Ended, Exited, Problem


def on_exited(state: State, event: MessageEvent, message: Exited) -> None:
    """A launcher says it until it is answered: Ended here, Paused once the device is seen free."""
    job = state.jobs.get(message.job)
    if job is not None and may_speak_for(event, job) and job.attempt == message.attempt:
        _attempt_ended(state, job, message)
    acknowledge(state, event, message.job)


def acknowledge(state: State, event: MessageEvent, job_id: int) -> None:
    """Tell a launcher that the end of its job is written down."""
    job = state.find(job_id)
    if job is None or not may_speak_for(event, job):
        state.send(event.peer, Problem(text=f"there is no job {job_id} of yours"))
    elif job.state.ended:
        text, ask_for = end_text(state, job), try_next(state, job)
        state.send(event.peer, Ended(job=job.id, text=text, ask_for=ask_for))


def end(state: State, job: Job, code: int, survivors: tuple[int, ...] = ()) -> None:
    """The job is over, with this exit code."""
    if job.state.waits and not job.stays:
        job = reclaim(state, job)
    trigger = Trigger.FINISH if code == 0 else Trigger.FAIL
    if job.cancelling:
        trigger = Trigger.END_CANCELLED
    detail = f"exit code {code}"
    if survivors:
        detail += f", {len(survivors)} of its processes live on"
    oom = ran_out(state, job, code)
    if oom:
        detail += ", out of memory"
    state.forget_windows(job)
    state.move(job, trigger, detail, exit_code=code, left=state.now.boot, oom=oom)
    state.look()


def _attempt_ended(state: State, job: Job, message: Exited) -> None:
    order = _pause_behind(job, message)
    if order is not None:
        tree_ended(state, job, order)
    elif _left_by_itself(job, message):
        _step_aside(state, job, message.request)
    elif not (job.state.ended or _said_before(job)):
        end(state, job, message.code, message.survivors)


def _left_by_itself(job: Job, message: Exited) -> bool:
    """Whether a program with no SDK has saved and exited, at a signal that cannot be taken back."""
    asked = message.request != 0 and message.code == job.spec.pause_exit != 0
    there = job.state in (JobState.RUNNING, JobState.PAUSING) and not job.ended_for_pause
    return asked and there and not job.cancelling


def _step_aside(state: State, job: Job, request: int) -> None:
    """It is paused, also where nobody waits for that any more: then it is back in the queue."""
    order = job.pause
    if order is None:
        order = PauseOrder(request, state.now.boot, by_user=False, captured=state.now.boot)
        job = state.move(job, Trigger.PAUSE, "it had been asked before", pause=order)
    captured = order.captured or job.since  # its signal was the point of no return
    tree_ended(state, job, msgspec.structs.replace(order, captured=captured))


def _said_before(job: Job) -> bool:
    """Whether the attempt has ended already: a paused job's, or it never began."""
    return job.ended_for_pause or (job.state.waits and job.lapsed is None and job.process is None)


def _pause_behind(job: Job, message: Exited) -> PauseOrder | None:
    """The pause for which the launcher ended the tree; None for an end of another kind."""
    order = job.pause
    if order is None or not job.to_be_ended or job.cancelling:
        return None
    return order if message.request == order.request else None
