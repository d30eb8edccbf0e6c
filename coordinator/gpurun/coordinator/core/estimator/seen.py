"""What samples show of one job over its life."""

import msgspec

RISE = 1.05
"""Growth of the peak that makes the time before it another phase, and is worth a write."""
BRIEF = 3
"""Samples below which the peak may have lain between them."""

SETTLED = 4.0
"""Times its way to the plateau that a job must run before that is taken for the last one."""
SETTLED_LEAST = 60.0
"""Seconds, likewise."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Memory is bytes on the device where it is most, utilization the share of its time."""

    model: str
    """The device's name."""
    looks: int = 0
    """Samples that showed the job."""
    memory: int | None = None
    """The lifetime's peak."""
    plateau: float = 0.0
    """Seconds it had run when it came within RISE of that."""
    utilization: float | None = None
    """Mean since the plateau, of samples in which the job was alone."""
    utilization_peak: float | None = None
    alone: int = 0
    """How many samples that mean has."""
    assumed: bool = False
    """Whether nothing was measured, and all this is what the job reserved."""
    full: bool = False
    """Whether the device was all but full in the last sample that showed the job."""

    @property
    def known(self) -> bool:
        """Whether the peak was looked for long enough to be believed."""
        return self.memory is not None and self.looks >= BRIEF and not self.assumed

    def settled(self, ran: float) -> bool:
        """Whether the peak of a job that has run for so long is one of a whole run, as it seems."""
        return self.known and ran >= max(SETTLED_LEAST, SETTLED * self.plateau)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One sample of one job."""

    model: str
    memory: int | None
    utilization: float | None
    """The device's, where the job was alone on it; None otherwise."""
    full: bool
    assumed: bool = False
    ran: float
    """Seconds it has run."""


def looked(seen: Seen | None, look: Look) -> Seen:
    """What is known of a job after one more sample."""
    if seen is None or (seen.assumed and not look.assumed):
        seen = Seen(model=look.model)
    rises = look.memory is not None and look.memory > RISE * (seen.memory or 0)
    seen = msgspec.structs.replace(
        seen,
        model=look.model,
        looks=seen.looks + 1,
        memory=seen.memory if look.memory is None else max(look.memory, seen.memory or 0),
        plateau=look.ran if rises else seen.plateau,
        full=look.full,
        assumed=look.assumed,
        alone=0 if rises else seen.alone,
    )
    return seen if look.utilization is None else _computed(seen, look.utilization)


def _computed(seen: Seen, share: float) -> Seen:
    """Take a share of time into the mean; that of an earlier phase goes with the first of a new."""
    mean = seen.utilization if seen.alone and seen.utilization is not None else 0.0
    return msgspec.structs.replace(
        seen,
        utilization=mean + (share - mean) / (seen.alone + 1),
        utilization_peak=max(share, seen.utilization_peak or 0.0),
        alone=seen.alone + 1,
    )
