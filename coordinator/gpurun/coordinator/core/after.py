"""`--after`: a job starts when others have finished with 0, and is cancelled when one has not."""

from collections.abc import Iterable

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.reference import known
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Ended


def awaited(state: State, references: Iterable[str]) -> tuple[int, ...] | str:
    """The jobs that are still to finish, or the sentence that says why one never will."""
    numbers = []
    for reference in references:
        job = known(state, reference)
        if isinstance(job, str):
            return f"--after {reference}: {job}"
        if not job.state.ended:
            numbers.append(job.id)
        elif job.state is not JobState.FINISHED:
            return f"--after {reference}: {job.label} has ended ({job.state}) and will not finish"
    return tuple(dict.fromkeys(numbers))


def settle(state: State, ended: Job) -> None:
    """Let those go that waited for what has finished; cancel them where it has not."""
    for job in state.jobs.dependents(ended.id):
        if ended.state is JobState.FINISHED:
            rest = tuple(number for number in job.after if number != ended.id)
            state.update(job, Note.AFTER, ended.label, after=rest)
            state.pass_wanted = True
        else:
            _cancel(state, job, f"{ended.label} has {_how(ended)}, and it was to start after")


def _how(ended: Job) -> str:
    return f"been {ended.state}" if ended.state is JobState.CANCELLED else f"ended: {ended.state}"


def _cancel(state: State, job: Job, why: str) -> None:
    launcher = state.launchers.get(job.id)
    state.move(job, Trigger.END_CANCELLED, why, after=(), left=state.now.boot)
    state.send(launcher, Ended(job=job.id, text=why))
