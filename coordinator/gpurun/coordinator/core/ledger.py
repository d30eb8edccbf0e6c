"""What each device is charged with: external use, and for each own job max(reserved, observed).

A charge exists from the instant of admission and until the job is seen gone, so two jobs that are
admitted together can never count on the same room.
"""

from collections.abc import Iterable

import msgspec

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.job import Job


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

    charged_memory: int = 0
    """Bytes of all own jobs. The sums are kept beside what they sum up: a pass reads them often."""
    charged_utilization: float = 0.0
    set_aside_memory: int = 0
    """Bytes that are spoken for."""
    set_aside_utilization: float = 0.0

    def __post_init__(self) -> None:
        charges, aside = self.charges.values(), self.set_aside.values()
        self.charged_memory = sum(charge.memory for charge in charges)
        self.charged_utilization = sum(charge.utilization for charge in charges)
        self.set_aside_memory = sum(charge.memory for charge in aside)
        self.set_aside_utilization = sum(charge.utilization for charge in aside)

    def take(self, job: int, need: Charge) -> None:
        """Charge the device with a job that is admitted."""
        self.charges[job] = need
        self.charged_memory += need.memory
        self.charged_utilization += need.utilization

    def keep(self, job: int, need: Charge) -> None:
        """Set room aside for a job that is blocked."""
        self.set_aside[job] = need
        self.set_aside_memory += need.memory
        self.set_aside_utilization += need.utilization

    @property
    def idle(self) -> bool:
        """Whether a job here would be alone: the caps do not apply to it then."""
        return not self.charges and not self.set_aside and not self.foreign

    @property
    def utilization(self) -> float:
        """max(window of the device, external + own reserved)."""
        return max(self.window or 0.0, self.external_utilization + self.charged_utilization)

    def without(self, jobs: frozenset[int]) -> "Load":
        """The load if these jobs had left: their memory is free again and the window is new."""
        gone = sum(self.charges[job].memory for job in jobs if job in self.charges)
        return msgspec.structs.replace(
            self,
            charges={job: charge for job, charge in self.charges.items() if job not in jobs},
            set_aside=dict(self.set_aside),
            outgrown=tuple(job for job in self.outgrown if job not in jobs),
            free=min(self.total - self.external_memory, self.free + gone),
            window=None,
            stale=False,
        )


def load_of(device: Device, jobs: Iterable[Job], stale: bool) -> Load:
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
    )


def _external(device: Device, used: int, charges: dict[int, Charge]) -> int:
    """Bytes used by processes that are not ours.

    Where own memory cannot be read (WSL2, MIG parents), own jobs count as their reservation; but
    beside a foreign process all that is used counts as external, for subtracting there would hide
    the foreigner in our unused room.
    """
    observed = {job: device.observed(job) for job in device.jobs() if job in charges}
    if None not in observed.values():
        return max(0, used - sum(size or 0 for size in observed.values()))
    if device.foreign:
        return used
    return max(0, used - sum(charges[job].memory for job in observed))
