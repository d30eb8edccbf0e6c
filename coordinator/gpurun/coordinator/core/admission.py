"""The admission sum: whether a job may start on a device right now, and if not, what is missing.

Beside others: external + charges + set aside + need + headroom <= cap * total for memory, and
max(window, external + reserved) + set aside + need <= cap for utilization. Alone on a device: the
need fits the free memory, whatever the caps; otherwise a training learned at 97 % would wait for
ever on an idle device.
"""

import msgspec

from gpurun.coordinator.core.job import Basis
from gpurun.coordinator.core.ledger import Charge, Load
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.job import JobSpec, ReasonCode

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

    @property
    def fits(self) -> bool:
        """Whether the job may start here."""
        return self.code is None


def judge(spec: JobSpec, load: Load, settings: Settings) -> Verdict:
    """Do the sum for one job on one device."""
    need = _need(spec, load, settings)
    basis = Basis.UNKNOWN if _told_memory(spec, load) is None else Basis.TOLD
    code, missing = _obstacle(spec, load, need, settings)
    return Verdict(
        load=load, need=need, basis=basis, alone=load.idle, code=code, missing=max(0.0, missing)
    )


def memory_left(load: Load, settings: Settings) -> int:
    """Bytes that the cap leaves on the device."""
    under_cap = int(settings.limits.memory * load.total) - load.external_memory
    if load.idle:
        return min(under_cap, load.free) if under_cap > 0 else load.free
    return under_cap - load.charged_memory - load.set_aside_memory - settings.limits.headroom


def utilization_left(load: Load, settings: Settings) -> float:
    """Share of time that the cap leaves on the device."""
    if load.idle:
        return settings.limits.utilization
    return settings.limits.utilization - load.utilization - load.set_aside_utilization


def _shareable(load: Load, settings: Settings) -> int:
    """Bytes under the cap of a device that has nothing else on it."""
    return int(settings.limits.memory * load.total) - settings.limits.headroom


def _told_memory(spec: JobSpec, load: Load) -> int | None:
    if spec.memory_share is not None:
        return int(spec.memory_share * load.total)
    return spec.memory


def _need(spec: JobSpec, load: Load, settings: Settings) -> Charge:
    """What was told; else all that is left, but never less than the share that unknown asks for."""
    floor = settings.estimate.unknown
    memory = _told_memory(spec, load)
    if memory is None:
        memory = max(memory_left(load, settings), int(floor * load.total))
    share = spec.utilization
    if share is None:
        share = max(utilization_left(load, settings), floor)
    # Utilization is a duty cycle: a job that fills the device takes what an idle one offers.
    return Charge(memory, min(share, settings.limits.utilization))


def _obstacle(
    spec: JobSpec, load: Load, need: Charge, settings: Settings
) -> tuple[ReasonCode | None, float]:
    if not load.healthy:
        return ReasonCode.UNHEALTHY, 0.0
    if load.stale:
        return ReasonCode.STALE, 0.0
    if load.idle:
        return (ReasonCode.MEMORY, need.memory - load.free) if need.memory > load.free else _FITS
    memory = need.memory - memory_left(load, settings)
    if _told_memory(spec, load) is not None and need.memory > _shareable(load, settings):
        return ReasonCode.WHOLE_DEVICE, memory
    if memory > 0:
        aside = memory <= load.set_aside_memory
        return ReasonCode.SET_ASIDE if aside else ReasonCode.MEMORY, memory
    share = need.utilization - utilization_left(load, settings)
    if share > EPSILON:
        aside = share <= load.set_aside_utilization + EPSILON
        return ReasonCode.SET_ASIDE if aside else ReasonCode.UTILIZATION, share
    return _FITS


_FITS: tuple[ReasonCode | None, float] = (None, 0.0)
