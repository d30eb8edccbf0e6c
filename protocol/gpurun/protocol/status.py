"""What `gpurun status --json` and `gpurun why --json` show; names and units are the contract's.

Bytes are integers, shares 0..1, times seconds, instants UTC ISO 8601, unknown is null.
"""

import msgspec


class Coordinator(msgspec.Struct, frozen=True):
    """The daemon itself."""

    version: str
    pid: int
    uptime: float
    drained: bool = False
    """Whether nothing new is admitted, by `gpurun drain`."""


class DeviceMemory(msgspec.Struct, frozen=True):
    """Bytes; `reserved` is the sum of our own jobs' charges."""

    total: int
    used: int
    external: int
    reserved: int
    free: int


class DeviceUtilization(msgspec.Struct, frozen=True):
    """Shares of time in which a kernel ran."""

    now: float | None
    window: float | None
    external: float
    reserved: float


class Amounts(msgspec.Struct, frozen=True):
    """A pair of shares or caps."""

    memory: float
    utilization: float | None


class ProcessUse(msgspec.Struct, frozen=True):
    """One process on a device; `job` is null when it is not ours."""

    pid: int
    user: str | None
    memory: int | None
    job: int | None
    command: str | None = None
    """Null where it may not be read."""


class Device(msgspec.Struct, frozen=True):
    """One device as the coordinator sees it."""

    index: int
    uuid: str
    name: str
    health: str
    memory: DeviceMemory
    utilization: DeviceUtilization
    load: Amounts
    caps: Amounts
    processes: tuple[ProcessUse, ...]


class Reason(msgspec.Struct, frozen=True):
    """Why a job waits."""

    code: str
    text: str


class Requested(msgspec.Struct, frozen=True):
    """What the user told; null where nothing was told."""

    gpus: int
    memory: int | None
    utilization: float | None


class Estimate(msgspec.Struct, frozen=True):
    """What is reserved on each device, and on what grounds."""

    memory: int | None
    utilization: float | None
    basis: str
    confidence: float | None


class Figure(msgspec.Struct, frozen=True):
    """One estimate: `low` is what runs have shown, `high` what is reserved."""

    basis: str
    low: float | None
    high: float | None
    confidence: float | None
    runs: int


class Estimates(msgspec.Struct, frozen=True):
    """What a job would reserve on each device, as `gpurun estimate --json` shows it.

    `memory`, `utilization`, `basis` and `confidence` mean what they do in a job's estimate.
    """

    memory: int | None
    utilization: float | None
    basis: str
    confidence: float | None
    memory_figure: Figure
    utilization_figure: Figure


class Observed(msgspec.Struct, frozen=True):
    """What the job was seen to use, over its devices."""

    memory: int | None
    memory_peak: int | None
    utilization: float | None


class Progress(msgspec.Struct, frozen=True):
    """How far a training is."""

    step: int
    total: int | None
    text: str
    left: float | None = None
    """Seconds of training that are left at the pace of its steps so far."""


class Job(msgspec.Struct, frozen=True):
    """One job as everybody may see it."""

    id: int
    name: str
    user: str
    command: tuple[str, ...]
    state: str
    held: bool
    reason: Reason | None
    priority: int
    devices: tuple[str, ...]
    request: Requested
    estimate: Estimate
    observed: Observed
    pid: int | None
    submitted: str
    started: str | None
    ended: str | None
    exit_code: int | None
    waited: float
    ran: float
    paused: float
    pauses: int
    attempt: int
    pausable: tuple[str, ...] | None
    progress: Progress | None
    incidents: int = 0
    """How often it was first seen to use more than it had reserved."""


class Status(msgspec.Struct, frozen=True):
    """The whole machine."""

    coordinator: Coordinator
    devices: tuple[Device, ...]
    jobs: tuple[Job, ...]
    problem: str | None = None
    """Why no device could be looked at; null while they can."""


class StoryEntry(msgspec.Struct, frozen=True):
    """One thing that happened to a job."""

    at: float
    """Seconds on CLOCK_BOOTTIME."""
    instant: str
    cause: str
    state: str
    detail: str


class JobStory(msgspec.Struct, frozen=True):
    """A job and all that happened to it, oldest first."""

    job: Job
    entries: tuple[StoryEntry, ...]
