"""Spawned and SpawnFailed: a lease is used."""

from gpurun.coordinator.core.effects import WatchJob
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.lease import reclaim
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.reactions.ending import acknowledge, end
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.messages import Spawned, SpawnFailed


def on_spawned(state: State, event: MessageEvent, message: Spawned) -> None:
    """The lease is used; the word of it may come after the lease has lapsed here."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and not (job.state.waits and job.lapsed is None):
        take_process(state, job, message.attempt, Process(message.pid, message.start_time))


def take_process(state: State, job: Job, attempt: int, process: Process) -> None:
    """The job has a process: watch it, and look at what it does to the device.

    What is said again changes nothing.
    """
    if job.process is not None or job.ended_for_pause or job.state.ended:
        return
    if job.state.waits:
        job = reclaim(state, job)
    started = job.started_at if job.started_at is not None else state.now.wall
    job = state.move(
        job,
        Trigger.SPAWNED,
        f"pid {process.pid}",
        process=process,
        attempt=attempt,
        lease=None,
        takes_changes=False,
        started_at=started,
    )
    state.effects.append(WatchJob(cause=state.cause, job=job.id, process=process))
    state.forget_windows(job)
    state.look()


def on_spawn_failed(state: State, event: MessageEvent, message: SpawnFailed) -> None:
    """The program could not be started."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and (job.lease is not None or job.lapsed is not None):
        end(state, job, message.code)
    acknowledge(state, event, message.job)
