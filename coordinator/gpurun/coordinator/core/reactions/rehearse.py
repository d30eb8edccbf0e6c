"""Rehearse: a person wants to see a running job step aside and go on at once."""

from gpurun.coordinator.core import rehearsing
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, Way
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.needs import with_need
from gpurun.coordinator.core.pausing import unpausable, ways
from gpurun.coordinator.core.placement import choose, judge_all, nearness
from gpurun.coordinator.core.reactions.authority import named
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.words import blocked_text
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Done, Problem, Rehearse


def on_rehearse(state: State, event: MessageEvent, message: Rehearse) -> None:
    """Answered when it trains again, and at once where it cannot be paused."""
    job = named(state, event, message.job)
    if job is None:
        return
    if why := _obstacle(state, job, message.how):
        text = f"{job.label} cannot rehearse a pause: {why}"
        state.send(event.peer, Problem(text=text, code=1))
        return
    how = Way(message.how) if message.how else ways(job)[0]
    text = f"{job.label} is asked to {how} at its next safe point, and to go on at once"
    state.send(event.peer, Done(job=job.id, text=text, pending=True))
    rehearsing.begin(state, job, how, event.peer)


def _obstacle(state: State, job: Job, how: str) -> str:
    if job.state is not JobState.RUNNING:
        return f"it is {job.state}, and only one that runs can"
    if job.cancelling or job.left is not None:
        return "it is about to end"
    if why := unpausable(job):
        return why
    if how and how not in ways(job):
        return f"it does not offer to {how}"
    return _lost_room(state, job)


def _lost_room(state: State, job: Job) -> str:
    """Why the job would not get room again if it left now; empty where it would."""
    loads = [load.without(frozenset({job.id})) for load in loads_of(state).values()]
    verdicts = judge_all(with_need(state, job), loads, state.settings)
    if choose(job.spec, verdicts) is not None:
        return ""
    blocked = min((verdict for verdict in verdicts if not verdict.fits), key=nearness, default=None)
    text = blocked_text(state, blocked, job.id) if blocked else "its device is not seen now"
    return f"it would not get its room back: {text}"
