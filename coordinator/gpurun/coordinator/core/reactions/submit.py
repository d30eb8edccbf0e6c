"""Submit, AskAgain, Changed and Leave: a launcher brings a job, asks anew, or gives up waiting."""

from gpurun.coordinator.core import rehearsing
from gpurun.coordinator.core.after import awaited, hand_over
from gpurun.coordinator.core.effects import WatchLauncher
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.lease import grant_message, lapse
from gpurun.coordinator.core.reactions.authority import attempt_of, may_speak_for
from gpurun.coordinator.core.reactions.retry import run_again
from gpurun.coordinator.core.reactions.spawn import take_process
from gpurun.coordinator.core.request import obstacle_for_ever, one_too_many
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import Held, JobState
from gpurun.protocol.messages import (
    Accepted,
    AskAgain,
    Changed,
    Ended,
    EndTree,
    Leave,
    Paused,
    Problem,
    Submit,
    Terminate,
)


def on_submit(state: State, event: MessageEvent, message: Submit) -> None:
    """Take in a new job, or answer a launcher that says hello again with the job's state."""
    known = state.by_uuid.get(message.uuid)
    job = state.find(known) if known is not None else None
    if job is not None and not may_speak_for(event, job):
        state.send(event.peer, Problem(text=f"job {job.id} belongs to {job.user}"))
        return
    if message.again is not None:
        job = run_again(state, event, message, message.again, job)
        if job is None:
            return
    elif job is None:
        problem = obstacle_for_ever(state, message) or one_too_many(state, message, event.uid)
        if problem is not None:
            state.send(event.peer, problem)
            return
        job = _new(state, event, message)
        if _is_own(state, event, message.spec.retry_of):
            hand_over(state, job)
    state.send(event.peer, Accepted(job=job.id))
    if job.state.ended:
        state.send(event.peer, Ended(job=job.id))
        return
    _greet_launcher(state, event, job)
    _catch_up(state, event, state.jobs[job.id], message.held)


def on_ask_again(state: State, event: MessageEvent, message: AskAgain) -> None:
    """The launcher came too late for its lease: back into the queue, with no blame."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None:
        return
    if job.lease is not None:
        job = lapse(state, job, "the launcher came too late")
    if job.state.waits:
        state.update(job, stopped=False, lapsed=None)
        state.pass_wanted = True


def on_changed(state: State, event: MessageEvent, message: Changed) -> None:
    """The lease goes back: nobody wants half a training by one program and half by another."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None:
        return
    if job.lease is not None:
        job = lapse(state, job, f"{message.file} has changed")
    if job.state.waits and job.lapsed is not None:
        why = f"{message.file} has changed since its checkpoint; {_goes_on(job)}"
        detail = f"held: {message.file} has changed"
        order = rehearsing.in_earnest(state, job, f"{message.file} has changed")
        changes = {"held": True, "held_for": why, "changed": True, "lapsed": None, "pause": order}
        state.move(job, Trigger.PAUSE, detail, stopped=False, **changes)
        state.pass_wanted = True


def _goes_on(job: Job) -> str:
    return f"gpurun resume --changed {job.id} goes on with it as it is now"


def on_leave(state: State, event: MessageEvent, message: Leave) -> None:
    """Nobody waits for the job any more; one that has a process is past leaving."""
    job = state.jobs.get(message.job)
    if job is None or job.process is not None or not may_speak_for(event, job):
        return
    if not job.state.ended:
        # An unused lease held nothing; what was ended for a pause is charged until it is seen gone.
        kept = () if job.lease is not None else job.reservations
        left = state.now.boot
        state.move(job, Trigger.END_CANCELLED, "left the queue", reservations=kept, left=left)
        state.look()


def _is_own(state: State, event: MessageEvent, number: int) -> bool:
    """Whether the job that is to be run again is the sender's."""
    before = state.find(number)
    return before is not None and before.uid == event.uid


def _new(state: State, event: MessageEvent, message: Submit) -> Job:
    after = awaited(state, message.spec.after)
    job = Job(
        id=state.next_id,
        uuid=message.uuid,
        uid=event.uid,
        user=event.user,
        spec=message.spec,
        submitted_at=state.now.wall,
        since=state.now.boot,
        after=() if isinstance(after, str) else after,  # of one that runs already, nobody asks
    )
    return state.add(job, " ".join(message.spec.command))


def _greet_launcher(state: State, event: MessageEvent, job: Job) -> None:
    launcher = event.sender or Process(0, 0)
    job = state.update(job, launcher=launcher, stopped=False)
    state.hear_from(job, event.peer)
    if launcher.pid:
        state.effects.append(WatchLauncher(cause=state.cause, job=job.id, process=launcher))


def _catch_up(state: State, event: MessageEvent, job: Job, held: Held | None) -> None:
    """Bring both sides to the same view after either has been away."""
    if held is not None:
        take_process(state, job, held.attempt, Process(held.pid, held.start_time))
    elif job.lease is not None:
        state.send(event.peer, grant_message(state, job))
    if job.cancelling:
        state.send(event.peer, Terminate(job=job.id, grace=job.grace or 0.0))
    order = job.pause
    if order is not None and job.to_be_ended:
        state.send(event.peer, EndTree(job=job.id, attempt=job.attempt, request=order.request))
    if job.state is JobState.PAUSED:
        state.send(event.peer, Paused(job=job.id, text=""))
