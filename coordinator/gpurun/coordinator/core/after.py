"""`--after`: a job starts when others have finished with 0, and is cancelled when one has not."""

from collections.abc import Iterable

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.oom import try_next
from gpurun.coordinator.core.reference import known
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Ended

RETRY_WITHIN = 10.0
"""Seconds in which a launcher brings the retry of a job that ran out of memory."""


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
        elif _comes_again(state, ended):
            state.retries[ended.id] = state.now.boot + RETRY_WITHIN
        else:
            _cancel(state, job, f"{ended.label} has {_how(ended)}, and it was to start after")


def hand_over(state: State, retry: Job) -> None:
    """Who waits for a job that ran out of memory waits for its retry."""
    if state.retries.pop(retry.spec.retry_of, None) is None:
        return
    for job in state.jobs.dependents(retry.spec.retry_of):
        after = tuple(retry.id if n == retry.spec.retry_of else n for n in job.after)
        state.update(job, Note.AFTER, f"{retry.label} runs it again", after=after)


def expect_retries(state: State) -> None:
    """After a restart: jobs may wait for one that has ended and was to be run again."""
    awaited_by_some = {number for job in state.live() for number in job.after}
    for number in awaited_by_some & state.ended.keys():
        state.retries[number] = state.now.boot + RETRY_WITHIN


def give_up(state: State) -> None:
    """No retry has come: those that wait for one never start."""
    for number, until in list(state.retries.items()):
        if state.now.boot >= until:
            del state.retries[number]
            for job in state.jobs.dependents(number):
                _cancel(state, job, f"job {number} has failed, and was not run again")


def _comes_again(state: State, ended: Job) -> bool:
    """Whether its launcher is about to run it again, with more memory."""
    return (
        ended.spec.retry_oom
        and ended.launcher is not None
        and not ended.spec.no_respawn
        and try_next(state, ended) > 0
    )


def _how(ended: Job) -> str:
    return f"been {ended.state}" if ended.state is JobState.CANCELLED else f"ended: {ended.state}"


def _cancel(state: State, job: Job, why: str) -> None:
    launcher = state.launchers.get(job.id)
    state.move(job, Trigger.END_CANCELLED, why, after=(), left=state.now.boot)
    state.send(launcher, Ended(job=job.id, text=why))
