"""Spawned, SpawnFailed, Exited, and the ends that the kernel reports: the life of a process."""

from gpurun.coordinator.core.effects import WatchJob
from gpurun.coordinator.core.events import JobProcessEndEvent, LauncherEndEvent, MessageEvent
from gpurun.coordinator.core.job import Job, PauseOrder, Process, Stage
from gpurun.coordinator.core.reactions.authority import attempt_of, may_speak_for
from gpurun.coordinator.core.reactions.release import tree_ended
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.coordinator.core.words import end_text
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Ended, Exited, GoOn, Problem, Spawned, SpawnFailed


def on_spawned(state: State, event: MessageEvent, message: Spawned) -> None:
    """The lease is used."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and job.process is None and not job.state.ended:
        take_process(state, job, message.attempt, Process(message.pid, message.start_time))


def take_process(state: State, job: Job, attempt: int, process: Process) -> None:
    """The job has a process: watch it, and look at what it does to the device.

    A launcher that spawned inside its lease may say so after the lease has lapsed here; what it
    holds is charged all the same.
    """
    if job.state.waits:
        reservations = state.lapsed.pop(job.id, ())
        job = state.move(job, Trigger.GRANT, "used a lapsed lease", reservations=reservations)
    started = job.started_at if job.started_at is not None else state.now.wall
    job = state.move(
        job,
        Trigger.SPAWNED,
        f"pid {process.pid}",
        process=process,
        attempt=attempt,
        lease=None,
        started_at=started,
        left=None,
    )
    state.effects.append(WatchJob(cause=state.cause, job=job.id, process=process))
    state.forget_windows(job)
    state.look()


def on_spawn_failed(state: State, event: MessageEvent, message: SpawnFailed) -> None:
    """The program could not be started."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and job.process is None and not job.state.ended:
        _end(state, job, message.code)
    state.send(event.peer, Ended(job=message.job))


def on_exited(state: State, event: MessageEvent, message: Exited) -> None:
    """The main process has ended: for a pause that asked for it, or for good."""
    job = state.find(message.job)
    if job is None or not may_speak_for(event, job):
        state.send(event.peer, Problem(text=f"there is no job {message.job} of yours"))
        return
    present = attempt_of(state, event, message.job, message.attempt)
    if present is not None and not present.state.ended:
        order = _pause_behind(present, message)
        if order is not None:
            tree_ended(state, present, order)
            return
        _end(state, present, message.code, message.survivors)
    state.send(event.peer, Ended(job=job.id, text=end_text(state, job)))


def on_job_process_end(state: State, event: JobProcessEndEvent) -> None:
    """Its launcher will say how it ended; where that is gone, nobody can."""
    job = state.jobs.get(event.job)
    if job is None or job.process != event.process or job.state.ended:
        return
    if job.launcher is None:
        state.move(job, Trigger.VANISH, "ended with no launcher to say how", left=state.now.boot)
    else:
        state.update(job, left=state.now.boot)
    state.look()


def on_launcher_end(state: State, event: LauncherEndEvent) -> None:
    """A job lives on without its launcher; one that had no process yet cannot start any more."""
    job = state.jobs.get(event.job)
    if job is None or job.launcher != event.process or job.state.ended:
        return
    state.launchers.pop(job.id, None)
    state.expected.discard(job.id)
    job = state.update(job, launcher=None)
    if job.process is None:
        trigger = Trigger.END_CANCELLED if job.cancelling else _loss(job)
        state.move(job, trigger, "its launcher is gone", left=state.now.boot)
    elif job.left is not None:
        state.move(job, Trigger.VANISH, "ended with its launcher", left=state.now.boot)
    else:
        _live_on(state, job)
    state.look()


def _pause_behind(job: Job, message: Exited) -> PauseOrder | None:
    """The pause for which the launcher ended the tree; None for an end of another kind."""
    order = job.pause
    if order is None or order.stage is not Stage.DURABLE or job.cancelling:
        return None
    return order if message.request == order.request else None


def _end(state: State, job: Job, code: int, survivors: tuple[int, ...] = ()) -> None:
    trigger = Trigger.FINISH if code == 0 else Trigger.FAIL
    if job.cancelling:
        trigger = Trigger.END_CANCELLED
    detail = f"exit code {code}"
    if survivors:
        detail += f", {len(survivors)} of its processes live on"
    state.forget_windows(job)
    state.move(job, trigger, detail, exit_code=code, left=state.now.boot)
    state.look()


def _loss(job: Job) -> Trigger:
    has_entry = job.state in (JobState.QUEUED, JobState.STARTING, JobState.PAUSED)
    return Trigger.LAUNCHER_LOST if has_entry else Trigger.VANISH


def _live_on(state: State, job: Job) -> None:
    """Without a launcher there is no pause by exit: a training that was asked goes on."""
    if job.pause is not None and job.state is JobState.PAUSING:
        message = GoOn(job=job.id, request=job.pause.request)
        state.send(state.trainers.get(job.id), message)
    state.move(job, Trigger.LAUNCHER_LOST, "it lives on", pause=None, held=False)
