"""What one look at the devices found: the monitor writes it, the core reads it.

Sizes are bytes, utilizations shares 0..1. None means unknown, which is never zero.
"""

import msgspec

HEALTHY = "ok"


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """One process on a device."""

    pid: int
    start_time: int
    """Field 22 of /proc/PID/stat; 0 where it could not be read."""
    user: str | None = None
    command: str | None = None
    memory: int | None = None
    utilization: float | None = None
    job: int | None = None
    """The own job whose tree it belongs to."""
    assumed: bool = False
    """Whether the figures are what its job reserved, for want of any other: a simulation."""
    compute: bool = True
    """False for a process that only draws, such as a desktop."""


class Reading(msgspec.Struct, frozen=True):
    """One of the driver's own samples of utilization."""

    taken: float
    """CLOCK_BOOTTIME; it speaks of the 1/6 to 1 second before."""
    share: float


class Peak(msgspec.Struct, frozen=True):
    """The most that one process of a job ever held on a device, by the driver's own account."""

    job: int
    memory: int


class DeviceSample(msgspec.Struct, frozen=True, kw_only=True):
    """One device."""

    index: int
    uuid: str
    name: str
    total: int | None
    free: int | None
    """The driver's own word: total minus used would count its reserve as room."""
    utilization: float | None
    readings: tuple[Reading, ...] = ()
    """The driver's samples since the last look, where it keeps them; oldest first."""
    processes: tuple[ProcessSample, ...] = ()
    processes_known: bool = True
    """Whether an empty list means that nobody is there."""
    health: str = HEALTHY
    """Anything else says in words why the device takes no work."""
    notes: tuple[str, ...] = ()
    """What a person should know of a device that takes work all the same."""
    peaks: tuple[Peak, ...] = ()
    """Of own processes that are here, or were at the last look."""
    faults: tuple[int, ...] = ()
    """XID numbers of what programs did to themselves here since the last look."""


class OwnProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that is the root of a job's tree, and what that job reserved.

    The monitor tells own processes from foreign ones with it; a simulated device also takes the
    reservation for the use.
    """

    job: int
    pid: int
    start_time: int
    launcher: int
    """0 when it is not known any more."""
    launcher_start: int = 0
    devices: tuple[str, ...]
    memory: int
    utilization: float
