"""Who may be asked to step aside, by whom, and what that costs.

Only a job of strictly lower base priority that said it can; never one that has just come back.
Each obstacle is a sentence, so that `gpurun why` can show why nobody is asked.
"""

from gpurun.coordinator.core.job import WAYS, Job, PauseCost, Stage, Way
from gpurun.coordinator.core.known import expected_time
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB, format_duration, format_share

DAY = 86_400.0
"""Seconds over which `[pause] budget` is counted."""
FIRST_COST = {Way.STAND: 0.0, Way.PARK: 2.0, Way.EXIT: 10.0}
"""Seconds that a pause is taken to cost a job which has not had one in this way yet."""
FIRST_KEPT = GIB
"""Bytes of a device that a job is taken to keep which has not been parked yet: a CUDA context with
its libraries is some hundred MiB."""


def can_exit(job: Job) -> str:
    """Empty when the job can be paused by exit; else why not and what would make it pausable."""
    if job.spec.pause == "never":
        return "it was started with --pause never"
    if job.pausable is None and job.spec.pause_signal:
        return (
            "its launcher, which would stop or signal it, is gone or has not said yet that it runs"
        )
    if job.pausable is None:
        return (
            "it does not use the gpurun SDK, or has not come to its training loop yet; "
            "build it on sdk.Trainable and sdk.run, or say --pause-signal, to make it pausable"
        )
    if "exit" not in job.pausable and job.spec.pause_signal:
        return "it can only stand where it is, and holds no device"
    if "exit" not in job.pausable:
        return "a checkpoint of it could not be gone on from; why, it has said on its stderr"
    if job.no_respawn and job.spec.pause != "exit":
        return job.no_respawn
    if len(job.trainings) > 1:
        return f"{len(job.trainings)} trainings run in it at once, and only one would be saved"
    if job.spec.no_respawn:
        return f"it cannot be run again from its first line: {job.spec.no_respawn}"
    if job.launcher is None:
        return "its launcher is gone, so nobody could start it again"
    return ""


def ways(job: Job) -> tuple[Way, ...]:
    """How the job can step aside, what costs it least first."""
    offered = _offered(job)
    if job.parked:
        return tuple([way for way in offered if way is Way.EXIT and saved(job)])
    return offered


def _offered(job: Job) -> tuple[Way, ...]:
    told = job.spec.pause
    if told == "never" or len(job.trainings) > 1 or not job.pausable or job.process is None:
        return ()
    able = [way for way in WAYS if way in job.pausable and told in ("auto", way)]
    if not job.charged:  # there is nothing of a device that it could keep
        able = [way for way in able if way is Way.EXIT]
    return tuple([way for way in able if way is not Way.EXIT or not can_exit(job)])


def stays_for_good(job: Job) -> bool:
    """Whether it keeps what it has until it goes on: it is not parked on its way to an exit."""
    if not job.stays:
        return False
    if not job.parked or Way.EXIT in job.refused or Way.EXIT not in _offered(job):
        return True
    return job.pause is not None and job.pause.unsaved


def ways_left(job: Job) -> tuple[Way, ...]:
    """Those of them that it has not refused."""
    return tuple([way for way in ways(job) if way not in job.refused])


def saved(job: Job) -> bool:
    """Whether the checkpoint of the pause under way is on disk."""
    return job.pause is not None and job.pause.stage is Stage.DURABLE


def unpausable(job: Job) -> str:
    """Why nobody can pause the job; empty where it can step aside in some way."""
    if ways(job):
        return ""
    if job.parked:
        return "it is parked, and nothing more of it can leave now"
    if job.process is None:
        return "its launcher has not said yet that it runs"
    return can_exit(job) or f"--pause {job.spec.pause} is not what its SDK offers"


def unasked(job: Job, settings: Settings, now: float) -> str:
    """Why the scheduler asks this job for nobody; empty where it may ask it."""
    if not settings.pause.enabled:
        return "[pause] enabled is false: only people may pause"
    there = job.state is JobState.RUNNING or job.parked
    if not there or is_leaving(job) or job.cancelling:
        return f"it is {job.state}"
    if not ways_left(job):
        return unpausable(job) or job.unpausable
    rest = 0.0 if job.returned is None else job.returned + settings.pause.min_run - now
    if rest > 0:
        return f"it has just come back and runs undisturbed for another {format_duration(rest)}"
    return ""


def unasked_for(job: Job, blocked: Job, settings: Settings, now: float) -> str:
    """Why the scheduler does not ask this job to step aside for the blocked one; or empty."""
    if job.spec.priority >= blocked.spec.priority:
        return f"its priority ({job.spec.priority}) is not lower"
    return unasked(job, settings, now) or _unbearable(job, blocked, settings, now)


def leaves_for(job: Job, blocked: Job, settings: Settings) -> bool:
    """Whether the blocked job may count on one that is leaving.

    A request that can still be taken back counts for those whom the job would bear; they share the
    pause, and need not be worth one of their own.
    """
    order = job.pause
    if job.left is not None or order is None or order.stage is not Stage.ASKED or order.by_user:
        return True
    return job.spec.priority < blocked.spec.priority and not _too_long(job, blocked, settings)


def is_leaving(job: Job) -> bool:
    """Stepping aside already, or ended and not yet seen gone; who only rehearses comes back."""
    return not job.is_tried and _is_going(job)


def _is_going(job: Job) -> bool:
    return job.state is JobState.PAUSING or job.left is not None


def cost(job: Job, way: Way = Way.EXIT) -> float:
    """Seconds of its work that a pause takes from a job: to save, to release and to resume."""
    last = {Way.PARK: job.park_cost, Way.EXIT: job.exit_cost}.get(way, PauseCost())
    if last.leaving is None or last.returning is None:
        return FIRST_COST[way]
    return last.leaving + last.returning


def kept_by(job: Job, way: Way) -> int | None:
    """Bytes of each device that the job keeps when it stands or parks; None for all it holds."""
    if way is Way.STAND:
        return None
    return FIRST_KEPT if job.parked_memory is None else job.parked_memory


def away_for_others(job: Job, now: float) -> float:
    """Seconds of the last day in which the job stood aside for jobs of other users."""
    return sum(max(0.0, ended - max(began, now - DAY)) for began, ended in job.away)


def _unbearable(job: Job, blocked: Job, settings: Settings, now: float) -> str:
    """Why the pause would be too long for the job, or too much of the day."""
    if why := _too_long(job, blocked, settings):
        return why
    time = expected_time(blocked)
    if time is None or job.uid == blocked.uid:
        return ""
    return _beyond_budget(job, time, settings, now)


def _too_long(job: Job, blocked: Job, settings: Settings) -> str:
    """Short work may be waited for; of unknown length only between jobs of one user."""
    time = expected_time(blocked)
    if time is None:
        return "" if job.uid == blocked.uid else "nobody told how long it would be (--time)"
    if time <= settings.pause.max_paused:
        return ""
    longest = format_duration(settings.pause.max_paused)
    return f"it would stand aside for longer than {longest}, which is [pause] max_paused"


def _beyond_budget(job: Job, time: float, settings: Settings, now: float) -> str:
    """`[pause] budget`: the share of a job's wall time in a day that others' jobs may take."""
    wall = min(DAY, job.ran + job.paused + now - job.since)
    budget = settings.pause.budget * wall
    if away_for_others(job, now) + time + cost(job) <= budget:
        return ""
    share = format_share(settings.pause.budget)
    return f"other users' jobs may take {share} of its time, which is {format_duration(budget)} now"
