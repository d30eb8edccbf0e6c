"""Attach and Detach: a training loop begins, comes back after a lost connection, or is over."""

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, Stage, Way
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.reactions.park import give_back
from gpurun.coordinator.core.reactions.stand import come_to_stand
from gpurun.coordinator.core.reactions.train import came_back, rest, saved
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Attach, Detach, GoOn, Problem


def on_attach(state: State, event: MessageEvent, message: Attach) -> None:
    """The training says hello: how it can be paused, and whether it stands still for a pause.

    A pause by exit ends the whole job, so that a job with two trainings cannot be paused: only
    one of them would have been saved. For a program of which it was told how it pauses, its
    launcher speaks, and nobody else.
    """
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state.ended:
        text = f"attempt {message.attempt} of job {message.job} is not known here"
        state.send(event.peer, Problem(text=text))
        return
    if job.spec.pause_signal and event.peer != state.launchers.get(job.id):
        text = (
            f"job {job.id} pauses by --pause-signal {job.spec.pause_signal}, as it was told; start "
            "it without that, and the SDK pauses it"
        )
        state.send(event.peer, Problem(text=text))
        return
    others = tuple(pid for pid in job.trainings if pid != message.pid)
    state.trainers[job.id][message.pid] = event.peer
    job = state.update(
        job,
        pausable=message.pausable,
        no_respawn=message.no_respawn,
        trainings=(*others, message.pid),
    )
    # From now on it may be asked to step aside, by whoever is more important.
    state.pass_wanted |= job.spec.priority < state.jobs.top_priority
    if others:
        _take_back(state, job, f"{len(job.trainings)} trainings run in it at once")
    else:
        _catch_up(state, event, job, message)


def on_detach(state: State, event: MessageEvent, message: Detach) -> None:
    """There is no training loop any more that could come to a safe point."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is None or job.state.ended or message.pid not in job.trainings:
        return
    if job.spec.pause_signal:  # its launcher names the same process, and never detaches
        return
    state.trainers[job.id].pop(message.pid, None)
    left = tuple(pid for pid in job.trainings if pid != message.pid)
    job = state.update(job, trainings=left, pausable=job.pausable if left else None)
    _take_back(state, job, "its training is over")


def _catch_up(state: State, event: MessageEvent, job: Job, message: Attach) -> None:
    """Bring both sides to the same view of a pause under way."""
    staying = message.standing or message.parked
    if job.stays or staying:
        _catch_up_staying(state, event, job, message, staying)
        return
    order = orders.order_of(job, message.resting) if message.resting else None
    if order is not None:
        rest(state, job, message.resting, message.checkpoint, "said again")
    elif message.resting:
        state.send(event.peer, GoOn(job=job.id, request=message.resting))
    elif job.state is JobState.PAUSING and job.pause and job.pause.stage is not Stage.ENDED:
        orders.ask_again(state, job, job.pause)
    elif job.state is JobState.RESUMING and job.pause and job.pause.how is not Way.EXIT:
        train_on(state, job)  # its word of that was lost


def _catch_up_staying(
    state: State, event: MessageEvent, job: Job, message: Attach, request: int
) -> None:
    """It stays here and trains there, or the other way round, or both agree."""
    order = orders.order_of(job, request)
    if message.parked and message.checkpoint and orders.parks_for(job, request):
        job = saved(state, job, message.checkpoint, "said again")
    if job.stays and not request:
        job = train_on(state, job)
        if job.pause is not None:
            orders.ask_again(state, job, job.pause)
    elif order is None and not orders.rests_for(job, request):
        state.send(event.peer, GoOn(job=job.id, request=request))
    elif order is not None and job.stays:
        rest(state, job, request, job.checkpoint, "said again")
    elif order is not None and job.left is not None:
        return
    elif order is not None and order.how is Way.STAND and message.standing:
        come_to_stand(state, job, order, "said again")
    elif order is not None and order.how is Way.PARK and message.parked:
        give_back(state, job, order, message.kept, "said again")
    elif order is not None:
        state.send(event.peer, GoOn(job=job.id, request=request))


def train_on(state: State, job: Job) -> Job:
    """It trains, whoever allowed it, and is charged with all that it had."""
    order, holds = job.pause, job.regains
    state.forget_windows(job)
    state.pass_wanted = True
    if order is not None and job.state is JobState.PAUSING:
        return state.update(job, reservations=holds, regains=())
    changes = came_back(state, job)
    return state.move(
        job,
        Trigger.RESUMED,
        "by itself",
        held=False,
        reservations=holds or job.reservations,
        regains=(),
        **changes,
    )


def _take_back(state: State, job: Job, reason: str) -> None:
    """Nothing is asked any more of a training that is over, or no longer alone in its job."""
    order = job.pause
    if order is None:
        return
    takes_back = order.stage is Stage.ASKED or order.how is Way.PARK
    if job.state is JobState.PAUSING and not job.stays and takes_back:
        orders.withdraw(state, job, order, reason)
    elif job.stays:
        state.tell_training(job, GoOn(job=job.id, request=order.request))
        train_on(state, job)
    elif job.state is JobState.RESUMING and job.process is not None and not job.trainings:
        train_on(state, job)
