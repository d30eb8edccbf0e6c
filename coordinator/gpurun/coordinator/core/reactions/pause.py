"""Pause: a person wants a running job to step aside, or a waiting one to stay where it is."""

import msgspec

from gpurun.coordinator.core import orders, rehearsing
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.pausing import unpausable, ways
from gpurun.coordinator.core.reactions.authority import named
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Done, Pause, Problem


def on_pause(state: State, event: MessageEvent, message: Pause) -> None:
    """Answered at once where nothing has to happen, else when the job is paused."""
    job = named(state, event, message.job)
    if job is None:
        return
    if job.state.waits:
        _hold(state, event, job)
    elif job.state is JobState.RUNNING:
        _ask(state, event, job)
    elif job.state is JobState.PAUSING:
        _join(state, event, job)
    elif job.state is JobState.RESUMING and job.process is not None:
        _wait(state, event, job)  # asked once its training is back in its loop
    else:
        text = f"{job.label} is {job.state}; ask again in a moment"
        state.send(event.peer, Problem(text=text, code=1))


def _hold(state: State, event: MessageEvent, job: Job) -> None:
    order = rehearsing.in_earnest(state, job, "it was paused by hand meanwhile")
    why = job.held_for if job.changed else ""  # that is still to be answered
    state.move(job, Trigger.PAUSE, "held", held=True, held_for=why, pause=order)
    state.pass_wanted = True
    what = "stays paused" if job.state is JobState.PAUSED else "is held"
    text = f"{job.label} {what}; gpurun resume {job.id} lets it go on"
    state.send(event.peer, Done(job=job.id, text=text))


def _ask(state: State, event: MessageEvent, job: Job) -> None:
    if why := unpausable(job):
        text = f"{job.label} cannot be paused: {why}"
        state.send(event.peer, Problem(text=text, code=1))
        return
    orders.ask(state, job, ways(job)[-1])  # a person wants the device free: of all ways the most
    _wait(state, event, job)


def _join(state: State, event: MessageEvent, job: Job) -> None:
    order = rehearsing.in_earnest(state, job, "it was paused by hand meanwhile")
    if order is not None:
        by_user = msgspec.structs.replace(order, by_user=True)
        state.move(job, Trigger.PAUSE, "for a person too", pause=by_user, held=True)
    _wait(state, event, job)


def _wait(state: State, event: MessageEvent, job: Job) -> None:
    state.asked_to_pause[job.id].append(event.peer)
    text = f"{job.label} is asked to pause at its next safe point"
    state.send(event.peer, Done(job=job.id, text=text, pending=True))
