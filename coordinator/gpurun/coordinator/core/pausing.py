"""Who may be asked to step aside, by whom, and what that costs.

Only a job of strictly lower base priority that said it can; never one that has just come back.
Each obstacle is a sentence, so that `gpurun why` can show why nobody is asked.
"""

from gpurun.coordinator.core.job import Job, Way
from gpurun.coordinator.core.known import expected_time
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import format_duration, format_share

DAY = 86_400.0
"""Seconds over which `[pause] budget` is counted."""
FIRST_COST = 10.0
"""Seconds that a pause is taken to cost a job which has not had one yet."""


def can_exit(job: Job) -> str:
    """Empty when the job can be paused by exit; else why not and what would make it pausable."""
    if job.spec.pause == "never":
        return "it was started with --pause never"
    if job.pausable is None:
        return (
            "it does not use the gpurun SDK, or has not come to its training loop yet; "
            "build it on sdk.Trainable and sdk.run to make it pausable"
        )
    if "exit" not in job.pausable:
        return "its SDK cannot put its data back to its place; see sdk.batches"
    if len(job.trainings) > 1:
        return f"{len(job.trainings)} trainings run in it at once, and only one would be saved"
    if job.spec.no_respawn:
        return f"it cannot be run again from its first line: {job.spec.no_respawn}"
    if job.launcher is None:
        return "its launcher is gone, so nobody could start it again"
    return ""


def ways(job: Job) -> tuple[Way, ...]:
    """How the job can step aside, what costs it least first."""
    told = job.spec.pause
    if told == "never" or len(job.trainings) > 1:
        return ()
    able = (way for way in Way if way in (job.pausable or ()) and told in ("auto", way))
    return tuple(way for way in able if way is not Way.EXIT or not can_exit(job))


def unpausable(job: Job) -> str:
    """Why nobody can pause the job; empty where it can step aside in some way."""
    if ways(job):
        return ""
    return can_exit(job) or f"--pause {job.spec.pause} is not what its SDK offers"


def unasked(job: Job, settings: Settings, now: float) -> str:
    """Why the scheduler asks this job for nobody; empty where it may ask it."""
    if not settings.pause.enabled:
        return "[pause] enabled is false: only people may pause"
    if job.state is not JobState.RUNNING or is_leaving(job) or job.cancelling:
        return f"it is {job.state}"
    if why := unpausable(job) or job.unpausable:
        return why
    rest = 0.0 if job.returned is None else job.returned + settings.pause.min_run - now
    if rest > 0:
        return f"it has just come back and runs undisturbed for another {format_duration(rest)}"
    return ""


def unasked_for(job: Job, blocked: Job, settings: Settings, now: float) -> str:
    """Why the scheduler does not ask this job to step aside for the blocked one; or empty."""
    if job.spec.priority >= blocked.spec.priority:
        return f"its priority ({job.spec.priority}) is not lower"
    return unasked(job, settings, now) or _unbearable(job, blocked, settings, now)


def is_leaving(job: Job) -> bool:
    """Stepping aside already, or ended and not yet seen gone."""
    return job.state is JobState.PAUSING or job.left is not None


def cost(job: Job, way: Way = Way.EXIT) -> float:
    """Seconds of its work that a pause takes from a job: to save, to release and to resume."""
    if way is Way.STAND:
        return 0.0
    if job.leaving_cost is None or job.return_cost is None:
        return FIRST_COST
    return job.leaving_cost + job.return_cost


def away_for_others(job: Job, now: float) -> float:
    """Seconds of the last day in which the job stood aside for jobs of other users."""
    return sum(max(0.0, ended - max(began, now - DAY)) for began, ended in job.away)


def _unbearable(job: Job, blocked: Job, settings: Settings, now: float) -> str:
    """Short work may be waited for; of unknown length only between jobs of one user."""
    time = expected_time(blocked)
    if time is None:
        return "" if job.uid == blocked.uid else "nobody told how long it would be (--time)"
    if time > settings.pause.max_paused:
        longest = format_duration(settings.pause.max_paused)
        return f"it would stand aside for longer than {longest}, which is [pause] max_paused"
    return "" if job.uid == blocked.uid else _beyond_budget(job, time, settings, now)


def _beyond_budget(job: Job, time: float, settings: Settings, now: float) -> str:
    """`[pause] budget`: the share of a job's wall time in a day that others' jobs may take."""
    wall = min(DAY, job.ran + job.paused + now - job.since)
    budget = settings.pause.budget * wall
    if away_for_others(job, now) + time + cost(job) <= budget:
        return ""
    share = format_share(settings.pause.budget)
    return f"other users' jobs may take {share} of its time, which is {format_duration(budget)} now"
