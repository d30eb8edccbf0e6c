"""Ends that the kernel reports, and what becomes of a job that has lost its launcher."""

import msgspec

from gpurun.coordinator.core.events import JobProcessEndEvent, LauncherEndEvent
from gpurun.coordinator.core.job import Job, Way
from gpurun.coordinator.core.reactions.attach import train_on
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import GoOn


def on_job_process_end(state: State, event: JobProcessEndEvent) -> None:
    """Its launcher will say how it ended; where that is gone, nobody can."""
    job = state.jobs.get(event.job)
    if job is None or job.process != event.process or job.state.ended:
        return
    job = state.update(job, Note.PROCESS_ENDED, left=state.now.boot)
    state.pass_wanted = True  # whoever waits may now wait for its room, and leave other room
    if job.launcher is None:
        lose(state, job, "ended with no launcher to say how")
    state.look()


def on_launcher_end(state: State, event: LauncherEndEvent) -> None:
    """A job lives on without its launcher; one that has no process cannot start any more."""
    job = state.jobs.get(event.job)
    if job is None or job.launcher != event.process:
        return
    if job.state.ended:
        state.look()  # what survives the job hangs below init from now on
        return
    state.launchers.pop(job.id, None)
    state.expected.discard(job.id)
    if job.process is None or job.left is not None:
        lose(state, job, "ended with its launcher")
    else:
        live_on(state, job)
    state.look()


def lose(state: State, job: Job, detail: str) -> None:
    """Nothing of the job is left that could go on, or say how it ended."""
    trigger = Trigger.LAUNCHER_LOST if job.state.waits else Trigger.VANISH
    if job.cancelling:
        trigger = Trigger.END_CANCELLED
    state.move(job, trigger, detail, left=state.now.boot, launcher=None)


def _stay(state: State, job: Job) -> None:
    """It stays where it is, also where it was about to be ended: nobody could spawn it again."""
    order = job.pause
    if order is not None and job.state is JobState.PAUSING:
        order = msgspec.structs.replace(order, how=Way.PARK)
        state.move(job, Trigger.PARK, "again", pause=order, launcher=None)
    else:
        state.update(job, launcher=None)


def _fall_silent(state: State, job: Job) -> Job:
    """Its launcher spoke for it, and has left word to continue it where it stood."""
    state.trainers.pop(job.id, None)
    if job.stays or job.state is JobState.RESUMING:
        job = train_on(state, job)
    return state.update(job, pausable=None, trainings=())


def live_on(state: State, job: Job) -> None:
    """Without a launcher there is no pause by exit: a training that was asked goes on."""
    if job.spec.pause_signal:
        job = _fall_silent(state, job)
    if job.stays:
        _stay(state, job)
        return
    if job.pause is not None and job.state is JobState.PAUSING:
        message = GoOn(job=job.id, request=job.pause.request)
        state.tell_training(job, message)
    state.move(job, Trigger.LAUNCHER_LOST, "it lives on", launcher=None, pause=None, held=False)
