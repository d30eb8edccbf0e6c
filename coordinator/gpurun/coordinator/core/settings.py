"""What the configuration file may say, as plain values, with the defaults.

Sizes are bytes, shares 0..1, times seconds. The names are those of the file's tables and keys.
"""

import msgspec

from gpurun.protocol.quantity import MIB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How full jobs may make a device that they share."""

    memory: float = 0.90
    """Share of a device's memory: the cap."""
    utilization: float = 0.90
    """Share of a device's time: the cap."""
    headroom: int = 512 * MIB
    """Bytes kept free beside the cap."""
    enforce: bool = False
    """Whether the SDK holds PyTorch's allocator to what its job reserved."""


class Pausing(msgspec.Struct, frozen=True, kw_only=True):
    """When a job may be asked to step aside, and for how long."""

    enabled: bool = True
    """Whether the scheduler may ask by itself; people always may."""
    deadline: float = 60.0
    """Seconds a job has to reach a safe point."""
    min_run: float = 600.0
    """Seconds a job runs undisturbed after it has come back."""
    max_paused: float = 3600.0
    """Seconds after which a paused job heads the queue."""
    budget: float = 0.10
    """Share of a job's wall time in a day that pauses for other users' jobs may take."""


class Queueing(msgspec.Struct, frozen=True, kw_only=True):
    """Who goes next."""

    ageing: float = 300.0
    """Seconds of waiting that count as much as one step of priority."""
    drain_after: float = 600.0
    """Seconds after which a job that waits for several devices keeps others from all of them."""
    max_jobs_per_user: int | None = None
    """Jobs that have not ended which one user may have; None for any number."""


class Monitoring(msgspec.Struct, frozen=True, kw_only=True):
    """How the devices are watched."""

    interval: float = 1.0
    """Seconds between two rounds that nobody asked for."""
    window: float = 10.0
    """Seconds of utilization that an admission looks back on."""


class Estimating(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed of a job whose need nobody told."""

    unknown: float = 0.25
    """Share of a device that must be left for a job of unknown need; it reserves all that is."""
    settle: float | None = None
    """Seconds without a new peak after which a job of unknown need shrinks; None is never."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration."""

    limits: Limits = Limits()
    pause: Pausing = Pausing()
    queue: Queueing = Queueing()
    monitor: Monitoring = Monitoring()
    estimate: Estimating = Estimating()
