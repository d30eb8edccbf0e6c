"""Restart: the state is what the store says; who was lost meanwhile is found out at once."""

from gpurun.coordinator.core.after import expect_retries
from gpurun.coordinator.core.effects import WatchJob, WatchLauncher
from gpurun.coordinator.core.events import RestartEvent
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.reactions.loss import live_on, lose
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger

HELLO_TIME = 2.0
"""Seconds in which launchers that live may say hello before anything is admitted."""


def on_restart(state: State, event: RestartEvent) -> None:
    """Find every job again."""
    state.drained = event.drained
    for profile in event.profiles:
        state.history.add(profile)
    for job in event.jobs:
        _remember(state, job)
    for job in list(state.live()):
        _find(state, job, event)
    expect_retries(state)
    state.look()
    state.quiet_until = state.now.boot + HELLO_TIME


def _remember(state: State, job: Job) -> None:
    state.by_uuid[job.uuid] = job.id
    state.next_request = max(state.next_request, job.request + 1)
    if job.state.ended and not job.charged:
        state.ended[job.id] = job
    else:
        state.jobs[job.id] = job


def _find(state: State, job: Job, event: RestartEvent) -> None:
    job = state.move(job, Trigger.RESTART)
    if job.id not in event.told:
        _judge(state, job, event.alive)
    job = state.jobs.get(job.id, job)
    if job.state.ended:
        return
    if job.launcher is not None:
        watch = WatchLauncher(cause=state.cause, job=job.id, process=job.launcher)
        state.effects.append(watch)
    if job.process is not None:
        state.effects.append(WatchJob(cause=state.cause, job=job.id, process=job.process))


def _judge(state: State, job: Job, alive: frozenset[Process]) -> None:
    """Lose a job of which nothing lives; of one whose end follows, the watches find out."""
    launcher_lives, process_lives = job.launcher in alive, job.process in alive
    if not launcher_lives and not process_lives:
        lose(state, job, "gone while no coordinator ran")
    elif not launcher_lives:
        live_on(state, job)
    else:
        state.expected.add(job.id)
        if job.process is not None and not process_lives:
            state.update(job, left=state.now.boot)
