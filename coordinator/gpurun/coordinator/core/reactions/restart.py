"""Restart: the state is what the store says; who was lost meanwhile is found out at once."""

from gpurun.coordinator.core.effects import WatchJob, WatchLauncher
from gpurun.coordinator.core.events import RestartEvent
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger

HELLO_TIME = 2.0
"""Seconds in which launchers that live may say hello before anything is admitted."""


def on_restart(state: State, event: RestartEvent) -> None:
    """Find every job again."""
    for job in event.jobs:
        _remember(state, job)
    for job in list(state.live()):
        _find(state, job, event)
    state.quiet_until = state.now.boot + HELLO_TIME
    state.pass_wanted = True


def _remember(state: State, job: Job) -> None:
    state.by_uuid[job.uuid] = job.id
    state.next_id = max(state.next_id, job.id + 1)
    if job.pause is not None:
        state.next_request = max(state.next_request, job.pause.request + 1)
    if job.state.ended and not job.charged:
        state.ended[job.id] = job
    else:
        state.jobs[job.id] = job


def _find(state: State, job: Job, event: RestartEvent) -> None:
    launcher_lives = job.launcher in event.alive
    process_lives = job.process in event.alive
    if job.id in event.told:
        return
    if not launcher_lives and not process_lives:
        trigger = Trigger.VANISH if job.process is not None else Trigger.LAUNCHER_LOST
        _lose(state, job, trigger)
        return
    if launcher_lives and job.launcher is not None:
        state.expected.add(job.id)
        watch = WatchLauncher(cause=state.cause, job=job.id, process=job.launcher)
        state.effects.append(watch)
    else:
        job = state.update(job, launcher=None)
    if job.process is not None:
        state.effects.append(WatchJob(cause=state.cause, job=job.id, process=job.process))
        if not process_lives:
            job = state.update(job, left=state.now.boot)
    state.move(job, Trigger.RESTART)


def _lose(state: State, job: Job, trigger: Trigger) -> None:
    detail = "gone while no coordinator ran"
    state.move(job, trigger, detail, left=state.now.boot, launcher=None)
