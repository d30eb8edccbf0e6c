"""Programs that fail again and again as they start: the rest of them is held.

A night's queue must not burn through on a typing error or a folder that is missing.
"""

from collections.abc import Iterable

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.state import State, Work
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import JobState

EARLY = 60.0
"""Seconds of running within which a failure is one of the start."""
TOLD_WITHIN = 2.0
"""Seconds in which a launcher says how its job has ended."""
TOLD_TO = (128 + 2, 128 + 15)
"""Exit codes of who was ended by SIGINT or SIGTERM: somebody wanted that."""
ENOUGH = 3
"""So many in a row hold the rest."""


def note(state: State, ended: Job) -> None:
    """Count an end for its program; at the third failure in a row hold those that wait."""
    work = work_of(ended)
    if work is None:
        return
    if ended.state is JobState.FINISHED:
        state.failures.pop(work, None)
    elif ended.state is JobState.FAILED and ended.ran < EARLY and ended.exit_code not in TOLD_TO:
        failed = (*state.failures.get(work, ()), ended.id)
        if len(failed) < ENOUGH:
            state.failures[work] = failed
        else:
            state.failures.pop(work, None)
            _hold(state, work, ended, failed)


def unclear(state: State) -> set[Work]:
    """Programs of which one more has ended, nobody knows yet how, that may be the last failure.

    The kernel's word of an end comes before the launcher's, which has the exit code.
    """
    return {
        work
        for job in state.jobs.active()
        if job.left is not None
        and not job.state.ended
        and state.now.boot - job.left < TOLD_WITHIN
        and (work := work_of(job)) is not None
        and len(state.failures.get(work, ())) == ENOUGH - 1
    }


def _hold(state: State, work: Work, ended: Job, failed: Iterable[int]) -> None:
    numbers = ", ".join(map(str, failed))
    for job in list(state.live()):
        if job.state is JobState.QUEUED and not job.held and work_of(job) == work:
            why = (
                f"{ENOUGH} jobs of {ended.spec.name} in a row (jobs {numbers}) have failed within "
                f"a minute of their start; gpurun resume {job.id} lets it go on"
            )
            state.move(job, Trigger.PAUSE, f"held: {why}", held=True, held_for=why)


def work_of(job: Job) -> Work | None:
    """A script whatever its arguments; of an executable, which may do anything, all its words."""
    program = job.spec.program
    if program is None:
        return None
    whole = () if program.interpreter else program.arguments
    return job.uid, program.path, program.folder, whole
