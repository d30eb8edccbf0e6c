"""Whom to ask to step aside for a job that is blocked: the least that lets it start.

The answer is a function of the present state: it is worked out anew in every pass, and a request
that no pass wants any more is withdrawn.
"""

from collections.abc import Iterable, Mapping

import msgspec

from gpurun.coordinator.core.admission import Verdict, judge
from gpurun.coordinator.core.forecast import wait_on
from gpurun.coordinator.core.job import WAYS, Job, Way
from gpurun.coordinator.core.ledger import Charge, Load
from gpurun.coordinator.core.pausing import (
    cost,
    is_leaving,
    kept_by,
    leaves_for,
    unasked_for,
    ways_left,
)
from gpurun.coordinator.core.settings import Settings


class Relief(msgspec.Struct, frozen=True):
    """The jobs whose stepping aside would let the blocked one start, each in its way, and where."""

    victims: Mapping[int, Way]
    devices: tuple[str, ...]


Victims = dict[int, Way]
_Option = tuple[int, float, int, int, str, Victims]
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
        elif not verdict.fits:
            continue
        victims = {} if verdict.fits else _victims_on(blocked, load, here, settings, now)
        if victims and _over_sooner(blocked, load, victims, jobs, settings, now):
            victims = None
        if victims is not None:
            options.append(_option(load, victims, jobs))
    if len(options) < max(1, blocked.spec.gpus):
        return None
    chosen = sorted(options, key=lambda option: option[:4])[: blocked.spec.gpus]
    in_ways = [item for option in chosen for item in option[-1].items()]
    # Who is to step aside in two ways on two devices does so in that which frees more.
    in_ways.sort(key=lambda item: WAYS.index(item[1]))
    return Relief(dict(in_ways), tuple(option[-2] for option in chosen))


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


def _option(load: Load, victims: Victims, jobs: Mapping[int, Job]) -> _Option:
    highest = max((job.spec.priority for job, _ in _fresh(victims, jobs)), default=-101)
    return highest, _cost(victims, jobs), len(victims), load.index, load.device, victims


def _fresh(victims: Victims, jobs: Mapping[int, Job]) -> list[tuple[Job, Way]]:
    """Those that must be asked anew."""
    return [(jobs[job], way) for job, way in victims.items() if not is_leaving(jobs[job])]


def _cost(victims: Victims, jobs: Mapping[int, Job]) -> float:
    return sum(cost(job, way) for job, way in _fresh(victims, jobs))


def _victims_on(
    blocked: Job, load: Load, here: list[Job], settings: Settings, now: float
) -> Victims | None:
    """Those on one device that must step aside, all in the way that costs least and is enough."""
    gone = [job for job in here if is_leaving(job) and leaves_for(job, blocked, settings)]
    leaving = [(job, _way_of(job)) for job in gone]
    askable = [job for job in here if unasked_for(job, blocked, settings, now) == ""]
    if not askable:
        return _least(blocked, load, leaving, [], settings) if leaving else None
    for way in WAYS:
        able = [job for job in askable if way in ways_left(job)]
        if not able:
            continue
        able.sort(key=lambda job: (job.spec.priority, cost(job, way), -job.id))
        found = _least(blocked, load, leaving, [(job, way) for job in able], settings)
        if found is not None:
            return found
    return None


def _way_of(job: Job) -> Way:
    """Of one that is leaving: who has ended frees everything."""
    return job.pause.how if job.pause is not None and job.left is None else Way.EXIT


def _least(
    blocked: Job,
    load: Load,
    leaving: list[tuple[Job, Way]],
    able: list[tuple[Job, Way]],
    settings: Settings,
) -> Victims | None:
    """The fewest of those that are leaving, and of these, without which the blocked one fits."""
    gone = list(leaving)
    for one in able:
        if _fits(blocked, load, gone, settings):
            break
        gone.append(one)
    if not _fits(blocked, load, gone, settings):
        return None
    for one in list(gone):
        fewer = [other for other in gone if other is not one]
        if _fits(blocked, load, fewer, settings):
            gone = fewer
    return {job.id: way for job, way in gone}


def _over_sooner(
    blocked: Job,
    load: Load,
    victims: Victims,
    jobs: Mapping[int, Job],
    settings: Settings,
    now: float,
) -> bool:
    """Whether the room comes by itself in less time than the pauses cost."""
    if not _fresh(victims, jobs):
        return False
    wait = wait_on(load, blocked, jobs, settings, now)
    return wait is not None and wait <= _cost(victims, jobs)


def _fits(blocked: Job, load: Load, gone: list[tuple[Job, Way]], settings: Settings) -> bool:
    left = load.without(frozenset(job.id for job, way in gone if way is Way.EXIT))
    kept = {job.id: kept_by(job, way) for job, way in gone if way is not Way.EXIT}
    return judge(blocked, left.resting(kept) if kept else left, settings).fits
