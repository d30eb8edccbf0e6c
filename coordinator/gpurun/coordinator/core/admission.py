"""The admission sum: whether a job may start on a device right now, and if not, what is missing.

Beside others: external + charges + set aside + need + headroom <= cap * total for memory, and
max(window, external + reserved) + set aside + need <= cap for utilization. Alone on a device: the
need fits the free memory, whatever the caps; otherwise a training learned at 97 % would wait for
ever on an idle device.
"""

from math import inf

import msgspec

from gpurun.coordinator.core.job import Basis, Job, Reservation
from gpurun.coordinator.core.known import known_memory, known_utilization, shown
from gpurun.coordinator.core.ledger import Charge, Load
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import ReasonCode

_TOLD = Basis.TOLD
_MEMORY, _UTILIZATION = ReasonCode.MEMORY, ReasonCode.UTILIZATION
_SET_ASIDE = ReasonCode.SET_ASIDE
"""Looked up once: Python 3.11 takes as long for that as for a good part of the sum."""
EPSILON = 1e-9
"""Shares are sums of decimal fractions: 0.2 + 0.7 must fit under 0.9."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the sum on one device."""

    load: Load
    need: Charge
    basis: Basis
    alone: bool
    code: ReasonCode | None = None
    """Which limit is in the way; None when the job may start here."""
    missing: float = 0.0
    """Bytes or share that must become free."""
    shortfall: float = 0.0
    """The same as a share of the device, of its memory or its time; infinite where none helps."""

    @property
    def fits(self) -> bool:
        """Whether the job may start here."""
        return self.code is None


_Obstacle = tuple[ReasonCode, float, float]
"""Which limit is in the way; bytes or share that must become free; that as a share of all."""


def judge(job: Job, load: Load, settings: Settings, told: Charge | None = None) -> Verdict:
    """Do the sum for one job on one device; `told` is what `same_need` says of the job."""
    need, basis = (told, _TOLD) if told else _need(job, load, settings)
    code, missing, shortfall = _obstacle(job, load, need, basis) or _NONE
    return Verdict(
        load=load,
        need=need,
        basis=basis,
        alone=load.idle,
        code=code,
        missing=missing,
        shortfall=shortfall,
    )


_NONE: tuple[None, float, float] = (None, 0.0, 0.0)


def judge_return(job: Job, held: Reservation, load: Load) -> Verdict:
    """Whether a job that stays on the device may go on: what it keeps is charged already."""
    need = Charge(held.memory, held.utilization, owner=job.uid, shares=job.spec.share)
    alone = load.charges.keys() <= {job.id} and not (load.foreign or load.set_aside)
    code, missing, shortfall = _return_obstacle(job, load, need, alone=alone) or _NONE
    return Verdict(
        load=load,
        need=need,
        basis=job.basis,
        alone=alone,
        code=code,
        missing=max(0.0, missing),
        shortfall=max(0.0, shortfall),
    )


def _return_obstacle(job: Job, load: Load, need: Charge, *, alone: bool) -> _Obstacle | None:
    wanted = need.memory - load.charges[job.id].memory
    if wanted <= 0:
        return None if alone else _time_obstacle(job, load, need)
    if refusal := _refusal(load):
        return refusal
    if alone:
        missing = wanted - load.free
        return (ReasonCode.MEMORY, missing, missing / load.total) if missing > 0 else None
    return _memory_obstacle(load, wanted, job.basis) or _time_obstacle(job, load, need)


def _time_obstacle(job: Job, load: Load, need: Charge) -> _Obstacle | None:
    if load.stale:
        return ReasonCode.STALE, 0.0, 0.0
    return _utilization_obstacle(job, load, need.utilization)


def is_full(load: Load) -> bool:
    """Whether no job at all could start here: one limit leaves nothing."""
    return (
        not load.healthy
        or load.stale
        or bool(load.outgrown)
        or load.memory_left <= 0
        or load.utilization_left <= EPSILON
    )


def same_need(job: Job, settings: Settings) -> Charge | None:
    """What the job needs of every device, where that was told in bytes; None where it differs."""
    spec = job.spec
    if spec.memory is None or spec.memory_share is not None or spec.utilization is None:
        return None
    share = min(spec.utilization, settings.limits.utilization)
    return Charge(max(spec.memory, shown(job)), share, owner=job.uid, shares=spec.share)


def _need(job: Job, load: Load, settings: Settings) -> tuple[Charge, Basis]:
    """What is known; else all that is left, but never less than the share that unknown asks for."""
    if (told := same_need(job, settings)) is not None:
        return told, _TOLD
    floor = settings.estimate.unknown
    memory, basis = known_memory(job, load, settings)
    if memory is None:
        memory = max(load.memory_left, int(floor * load.total))
    share = known_utilization(job)
    if share is None:
        share = max(load.utilization_left, floor)
    # Utilization is a duty cycle: a job that fills the device takes what an idle one offers.
    share = min(share, settings.limits.utilization)
    return Charge(memory, share, owner=job.uid, shares=job.spec.share), basis


def _obstacle(job: Job, load: Load, need: Charge, basis: Basis) -> _Obstacle | None:
    if load.stale or load.outgrown or not load.healthy:
        return _refusal(load)
    return _memory_obstacle(load, need.memory, basis) or (
        _utilization_obstacle(job, load, need.utilization)
    )


def _refusal(load: Load) -> _Obstacle | None:
    """Why the device takes nobody, whatever the sum."""
    if not load.healthy:
        return ReasonCode.UNHEALTHY, 0.0, inf
    if load.stale:
        return ReasonCode.STALE, 0.0, 0.0
    if load.outgrown:
        return ReasonCode.MEMORY, 0.0, 0.0
    return None


def _memory_obstacle(load: Load, need: int, basis: Basis) -> _Obstacle | None:
    if need > load.total:  # it never fits, and must not keep others from here
        return ReasonCode.WHOLE_DEVICE, float(need - load.total), inf
    if load.idle:
        missing = need - load.free
        return (_MEMORY, missing, missing / load.total) if missing > 0 else None
    missing = need - load.memory_left
    if need > load.shareable and basis is not Basis.UNKNOWN:
        least = max(0.0, missing)
        return ReasonCode.WHOLE_DEVICE, least, least / load.total
    if missing <= 0:
        return None
    aside = missing <= load.set_aside_memory
    return _SET_ASIDE if aside else _MEMORY, missing, missing / load.total


def _utilization_obstacle(job: Job, load: Load, need: float) -> _Obstacle | None:
    missing = need - load.utilization_left
    if missing <= EPSILON or load.idle or not load.timed or may_share(job, load):
        return None
    aside = missing <= load.set_aside_utilization + EPSILON
    return _SET_ASIDE if aside else _UTILIZATION, missing, missing


def may_share(job: Job, load: Load) -> bool:
    """Whether utilization does not hold the job back here.

    It said `--share`, and all who are here, or have a claim to be, are its user's or said it too.
    """
    if not job.spec.share or not load.foreign_users <= {job.user}:
        return False
    charges = (*load.charges.values(), *load.set_aside.values())
    return all(charge.shares or charge.owner == job.uid for charge in charges)
