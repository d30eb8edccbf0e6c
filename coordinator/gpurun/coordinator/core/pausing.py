"""Whom to ask to step aside for a job that is blocked.

Only a job of strictly lower base priority that said it can; never one that has just come back.
The answer is a function of the present state: it is worked out anew in every pass, and a request
that no pass wants any more is withdrawn.
"""

from collections.abc import Iterable, Mapping

import msgspec

from gpurun.coordinator.core.admission import Verdict, judge
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.order import rank
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobState


class Relief(msgspec.Struct, frozen=True):
    """The jobs whose leaving would let the blocked one start, and where."""

    victims: frozenset[int]
    devices: tuple[str, ...]


_NOBODY: frozenset[int] = frozenset()


def relief_for(
    blocked: Job,
    verdicts: Iterable[Verdict],
    jobs: Mapping[int, Job],
    settings: Settings,
    now: float,
) -> Relief | None:
    """The least that must step aside for the blocked job; None when nothing would help.

    Jobs that are stepping aside already cost nothing more and count first.
    """
    if not settings.pause.enabled:
        return None
    options = []
    for verdict in verdicts:
        load = verdict.load
        victims = _NOBODY if verdict.fits else _victims_on(blocked, load, jobs, settings, now)
        if victims is not None:
            fresh = sum(not is_leaving(jobs[job]) for job in victims)
            options.append((fresh, len(victims), load.index, load.device, victims))
    if len(options) < max(1, blocked.spec.gpus):
        return None
    chosen = sorted(options, key=lambda option: option[:3])[: blocked.spec.gpus]
    return Relief(frozenset().union(*(o[4] for o in chosen)), tuple(o[3] for o in chosen))


def can_be_asked(job: Job, settings: Settings, now: float) -> bool:
    """Whether the scheduler may ask this job to step aside for anyone."""
    return (
        settings.pause.enabled
        and job.state is JobState.RUNNING
        and not is_leaving(job)
        and can_exit(job) == ""
        and not job.unpausable
        and not job.cancelling
        and (job.returned is None or now - job.returned >= settings.pause.min_run)
    )


def may_be_asked(job: Job, blocked: Job, settings: Settings, now: float) -> bool:
    """Whether the scheduler may ask this job to step aside for the blocked one."""
    return (
        job.spec.priority < blocked.spec.priority
        and can_be_asked(job, settings, now)
        and _bearable(job, blocked, settings)
    )


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


def is_leaving(job: Job) -> bool:
    """Stepping aside already, or ended and not yet seen gone."""
    return job.state is JobState.PAUSING or job.left is not None


def _bearable(job: Job, blocked: Job, settings: Settings) -> bool:
    """Short work may be waited for; of unknown length only between jobs of one user."""
    if blocked.spec.time is None:
        return job.uid == blocked.uid
    return blocked.spec.time <= settings.pause.max_paused


def _victims_on(
    blocked: Job, load: Load, jobs: Mapping[int, Job], settings: Settings, now: float
) -> frozenset[int] | None:
    """The least set of jobs on one device without which the blocked one would fit."""
    here = [jobs[job] for job in load.charges if job in jobs]
    leaving = [job.id for job in here if is_leaving(job)]
    askable = [job for job in here if may_be_asked(job, blocked, settings, now)]
    if not leaving and not askable:
        return None
    askable.sort(key=rank, reverse=True)
    gone: list[int] = leaving
    if not _fits(blocked, load, gone, settings):
        for job in askable:
            gone = [*gone, job.id]
            if _fits(blocked, load, gone, settings):
                break
        else:
            return None
    for job_id in list(gone):
        fewer = [other for other in gone if other != job_id]
        if _fits(blocked, load, fewer, settings):
            gone = fewer
    return frozenset(gone)


def _fits(blocked: Job, load: Load, gone: list[int], settings: Settings) -> bool:
    return judge(blocked, load.without(frozenset(gone)), settings).fits
