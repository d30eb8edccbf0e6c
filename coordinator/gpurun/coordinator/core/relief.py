"""Whom to ask to step aside for a job that is blocked: the least that lets it start.

The answer is a function of the present state: it is worked out anew in every pass, and a request
that no pass wants any more is withdrawn.
"""

from collections.abc import Iterable, Mapping

import msgspec

from gpurun.coordinator.core.admission import Verdict, judge
from gpurun.coordinator.core.forecast import wait_on
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.ledger import Charge, Load
from gpurun.coordinator.core.pausing import cost, is_leaving, unasked_for
from gpurun.coordinator.core.settings import Settings


class Relief(msgspec.Struct, frozen=True):
    """The jobs whose leaving would let the blocked one start, and where."""

    victims: frozenset[int]
    devices: tuple[str, ...]


_NOBODY: frozenset[int] = frozenset()
_Option = tuple[int, float, int, int, str, frozenset[int]]
"""On one device: highest priority and whole cost of who must be asked anew, number of victims,
index, UUID, victims. The smaller is the better."""


def relief_for(
    blocked: Job,
    verdicts: Iterable[Verdict],
    jobs: Mapping[int, Job],
    movable: frozenset[int],
    settings: Settings,
    now: float,
) -> Relief | None:
    """The least that must step aside for the blocked job; None when nothing would help.

    `movable` are the jobs that are leaving or may be asked for somebody. Jobs that are stepping
    aside already cost nothing more and count first. Nobody is asked where the wait would be over
    sooner than the pause.
    """
    if not settings.pause.enabled:
        return None
    options = []
    for verdict in verdicts:
        load = verdict.load
        here = [jobs[job] for job in load.charges if job in movable]
        if here:
            load = _claimed_now(load, blocked, jobs)
        victims = _NOBODY if verdict.fits else _victims_on(blocked, load, here, settings, now)
        if victims and _over_sooner(blocked, load, victims, jobs, settings, now):
            victims = None
        if victims is not None:
            options.append(_option(load, victims, jobs))
    if len(options) < max(1, blocked.spec.gpus):
        return None
    chosen = sorted(options)[: blocked.spec.gpus]
    return Relief(_NOBODY.union(*(o[-1] for o in chosen)), tuple(o[-2] for o in chosen))


def _claimed_now(load: Load, blocked: Job, jobs: Mapping[int, Job]) -> Load:
    """The load with the claims of lower base priority cut down to the room that is there now.

    However long those jobs have waited, the room that others make for the blocked one is not
    theirs: it is borrowed from who steps aside, and goes back before any of that priority starts.
    """
    lower = [job for job in load.set_aside if _is_lower(job, blocked, jobs)]
    if not lower:
        return load
    firm = {job: claim for job, claim in load.set_aside.items() if job not in lower}
    rest = msgspec.structs.replace(load, charges=dict(load.charges), set_aside=firm)
    memory = min(load.set_aside_memory - rest.set_aside_memory, rest.memory_left)
    share = min(load.set_aside_utilization - rest.set_aside_utilization, rest.utilization_left)
    rest.keep(lower[0], Charge(max(0, memory), max(0.0, share)))
    return rest


def _is_lower(job: int, than: Job, jobs: Mapping[int, Job]) -> bool:
    return job in jobs and jobs[job].spec.priority < than.spec.priority


def _option(load: Load, victims: frozenset[int], jobs: Mapping[int, Job]) -> _Option:
    fresh = [job for victim in victims if not is_leaving(job := jobs[victim])]
    highest = max((job.spec.priority for job in fresh), default=-101)
    return highest, sum(map(cost, fresh)), len(victims), load.index, load.device, victims


def _victims_on(
    blocked: Job, load: Load, here: list[Job], settings: Settings, now: float
) -> frozenset[int] | None:
    """The least set of jobs on one device without which the blocked one would fit."""
    leaving = [job.id for job in here if is_leaving(job)]
    askable = [job for job in here if unasked_for(job, blocked, settings, now) == ""]
    if not leaving and not askable:
        return None
    askable.sort(key=lambda job: (job.spec.priority, cost(job), -job.id))
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


def _over_sooner(
    blocked: Job,
    load: Load,
    victims: frozenset[int],
    jobs: Mapping[int, Job],
    settings: Settings,
    now: float,
) -> bool:
    """Whether the room comes by itself in less time than the pauses cost."""
    fresh = [job for victim in victims if not is_leaving(job := jobs[victim])]
    if not fresh:
        return False
    wait = wait_on(load, blocked, jobs, settings, now)
    return wait is not None and wait <= sum(map(cost, fresh))


def _fits(blocked: Job, load: Load, gone: list[int], settings: Settings) -> bool:
    return judge(blocked, load.without(frozenset(gone)), settings).fits
