"""What each device is charged with: external use, and for each own job max(reserved, observed).

A charge exists from the instant of admission and until the job is seen gone, so two jobs that are
admitted together can never count on the same room.
"""

from collections.abc import Iterable, Mapping
from copy import copy

import msgspec

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.settings import Limits

_DEFAULTS = Limits()


class Charge(msgspec.Struct, frozen=True):
    """What one job takes, or would take, of one device."""

    memory: int
    utilization: float
    owner: int = -1
    """The uid of its user."""
    shares: bool = False
    """Whether it does not mind who else computes here."""


class Load(msgspec.Struct, kw_only=True):
    """The sum of one device at one instant; a scheduling pass adds to it as it admits."""

    device: str
    index: int
    name: str
    healthy: bool
    health: str
    stale: bool
    foreign: bool
    """Whether a compute process that is not ours is on it."""
    foreign_users: frozenset[str | None]
    """Whose those are; None where that cannot be read."""
    total: int
    free: int
    external_memory: int
    external_utilization: float
    window: float | None
    timed: bool = True
    """Whether utilization can be measured; where it cannot, memory alone decides."""
    charges: dict[int, Charge]
    outgrown: tuple[int, ...] = ()
    """Own jobs that use more than they reserved: nobody knows how much more they will."""
    set_aside: dict[int, Charge]
    """Room that blocked jobs ahead in the queue have a claim to."""
    limits: Limits = _DEFAULTS

    # What follows is derived, and kept because a pass reads it far more often than it changes.
    idle: bool = True
    """Whether a job here would be alone: the caps do not apply to it then."""
    charged_memory: int = 0
    """Bytes of all own jobs."""
    charged_utilization: float = 0.0
    set_aside_memory: int = 0
    """Bytes that are spoken for."""
    set_aside_utilization: float = 0.0
    utilization: float = 0.0
    """max(window of the device, external + own reserved)."""
    shareable: int = 0
    """Bytes under the cap of a device that has nothing else on it."""
    memory_left: int = 0
    """Bytes that the cap leaves."""
    utilization_left: float = 0.0
    """Share of time that the cap leaves."""
    eased: dict[frozenset[int], "Load"] = {}
    """What `without` has answered since the last change."""

    def __post_init__(self) -> None:
        self.shareable = int(self.limits.memory * self.total) - self.limits.headroom
        self.charged_memory, self.charged_utilization = _sum(self.charges)
        self.set_aside_memory, self.set_aside_utilization = _sum(self.set_aside)
        self._measure()

    def copy(self) -> "Load":
        """The same once more, for a pass to work on."""
        load = copy(self)
        load.charges, load.set_aside = dict(self.charges), dict(self.set_aside)
        return load

    def take(self, job: int, need: Charge) -> None:
        """Charge the device with a job that is admitted."""
        before = self.charges.get(job)  # of one that goes on from where it stands
        self.charges[job] = need
        self.charged_memory += need.memory - (before.memory if before else 0)
        self.charged_utilization += need.utilization - (before.utilization if before else 0.0)
        self._measure()

    def keep(self, job: int, need: Charge) -> None:
        """Set room aside for a job that is blocked."""
        self.set_aside[job] = need
        self.set_aside_memory += need.memory
        self.set_aside_utilization += need.utilization
        self._measure()

    def _measure(self) -> None:
        self.eased = {}
        limits = self.limits
        self.idle = not (self.charges or self.set_aside or self.foreign)
        own = self.external_utilization + self.charged_utilization
        self.utilization = max(self.window or 0.0, own)
        shareable = self.shareable - self.external_memory
        if self.idle:
            under_cap = shareable + limits.headroom
            self.memory_left = min(under_cap, self.free) if under_cap > 0 else self.free
        else:
            self.memory_left = shareable - self.charged_memory - self.set_aside_memory
        if self.idle or not self.timed:
            self.utilization_left = limits.utilization
        else:
            busy = self.utilization + self.set_aside_utilization
            self.utilization_left = limits.utilization - busy

    @property
    def is_held_by_window(self) -> bool:
        """Whether the past says more of its time than all who are here now."""
        own = self.external_utilization + self.charged_utilization
        return self.window is not None and self.window > own

    def without(self, jobs: frozenset[int]) -> "Load":
        """The load if these jobs had left: their memory is free again and the window is new.

        It is asked the same for each job that is blocked; nobody may change the answer.
        """
        if (known := self.eased.get(jobs)) is not None:
            return known
        gone = sum([charge.memory for job, charge in self.charges.items() if job in jobs])
        self.eased[jobs] = eased = msgspec.structs.replace(
            self,
            charges={job: charge for job, charge in self.charges.items() if job not in jobs},
            set_aside={job: claim for job, claim in self.set_aside.items() if job not in jobs},
            outgrown=tuple([job for job in self.outgrown if job not in jobs]),
            free=min(self.total - self.external_memory, self.free + gone),
            window=None,
            stale=False,
        )
        return eased

    def resting(self, kept: Mapping[int, int | None]) -> "Load":
        """The load if these jobs computed nothing and kept so many bytes; None: all they hold.

        Their time is free again and the window is new.
        """
        charges = dict(self.charges)
        for job in kept.keys() & charges.keys():
            memory = charges[job].memory
            most = memory if (size := kept[job]) is None else min(size, memory)
            charges[job] = msgspec.structs.replace(charges[job], memory=most, utilization=0.0)
        growing = tuple([job for job in self.outgrown if kept.get(job) is None])
        return msgspec.structs.replace(
            self, charges=charges, set_aside=dict(self.set_aside), outgrown=growing, window=None
        )


def _sum(charges: Mapping[int, Charge]) -> tuple[int, float]:
    """Bytes and share of all charges."""
    memory, utilization = 0, 0.0
    for charge in charges.values():
        memory += charge.memory
        utilization += charge.utilization
    return memory, utilization


def load_of(device: Device, jobs: Iterable[Job], stale: bool, limits: Limits = _DEFAULTS) -> Load:
    """The load of a device that is charged with these jobs."""
    sample = device.sample
    total, free = sample.total or 0, sample.free or 0
    charges = {}
    outgrown = []
    for job in jobs:
        for held in job.reservations:
            if held.device == sample.uuid:
                outgrown += [job.id] * job.outgrows(held)
                memory = max(held.memory, device.observed(job.id) or 0)
                charges[job.id] = Charge(
                    memory, held.utilization, owner=job.uid, shares=job.spec.share
                )
    return Load(
        device=sample.uuid,
        index=sample.index,
        name=sample.name,
        healthy=device.healthy,
        health=sample.health,
        stale=stale,
        foreign=device.foreign,
        foreign_users=device.foreign_users,
        total=total,
        free=free,
        external_memory=_external(device, total - free, charges),
        external_utilization=device.foreign_share,
        window=device.window,
        timed=device.timed,
        charges=charges,
        outgrown=tuple(outgrown),
        set_aside={},
        limits=limits,
    )


def _external(device: Device, used: int, charges: dict[int, Charge]) -> int:
    """Bytes used by processes that are not ours.

    Where own memory cannot be read (WSL2, MIG parents), own jobs count as their reservation; but
    beside a foreign process all that is used counts as external, for subtracting there would hide
    the foreigner in our unused room.
    """
    known = [size for job in charges if (size := device.observed(job)) is not None]
    if len(known) == len(charges):
        return max(0, used - sum(known))
    if device.foreign:
        return used
    return max(0, used - sum(charges[job].memory for job in device.jobs() & charges.keys()))
