"""What a job is to everybody: its states, why it waits, and what was asked for it."""

from enum import StrEnum

import msgspec


class JobState(StrEnum):
    """Where a job is in its life; every job is in exactly one."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        """Whether no event can move the job any more."""
        return self in ENDED

    @property
    def waits(self) -> bool:
        """Whether the job is in the queue, to start or to go on."""
        return self in WAITING


ENDED = frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED, JobState.LOST})
WAITING = frozenset({JobState.QUEUED, JobState.PAUSED})


class ReasonCode(StrEnum):
    """Why a job waits; the codes are the contract's."""

    MEMORY = "memory"
    UTILIZATION = "utilization"
    GPUS = "gpus"
    HELD = "held"
    AFTER = "after"
    AHEAD = "ahead"
    SET_ASIDE = "set-aside"
    WHOLE_DEVICE = "whole-device"
    UNHEALTHY = "unhealthy"
    STALE = "stale"
    DRAINED = "drained"
    STOPPED = "stopped"
    NO_DEVICE = "no-device"
    CHANGED = "changed"
    SAFE_POINT = "safe-point"


class WaitReason(msgspec.Struct, frozen=True):
    """Why a job waits, as data; `text` is the same for people."""

    code: ReasonCode
    text: str
    device: str | None = None
    """UUID of the device that comes nearest to taking it."""
    missing: float = 0.0
    """How much is missing there: bytes for memory, a share for utilization."""
    holders: tuple[int, ...] = ()
    """Jobs that hold that device."""


class ProgramId(msgspec.Struct, frozen=True, kw_only=True):
    """By what a program is recognised when it comes again."""

    path: str
    """The script, or where there is none the executable; absolute."""
    arguments: tuple[str, ...] = ()
    """All other words of the command."""
    interpreter: str = ""
    """What runs the script; empty for an executable."""
    folder: str = ""
    """Where an executable runs: `make train` is another program elsewhere."""
    digest: str = ""
    """Of the script's content; empty where it was not read."""


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for; it never changes by itself."""

    command: tuple[str, ...]
    cwd: str
    name: str
    priority: int = 0
    gpus: int = 1
    memory: int | None = None
    """Bytes on each device; None when not told."""
    memory_share: float | None = None
    """The same as a share of each device, where it was told as a percentage."""
    utilization: float | None = None
    """Share of each device's time; None when not told."""
    time: float | None = None
    """Seconds it will take, as told; for the pause decision only."""
    pause: str = "auto"
    """auto, stand, park, exit or never."""
    pause_signal: str = ""
    """For a program with no SDK: STOP where it may be stopped and continued, else the signal at
    which it saves by itself and exits with `pause_exit`; empty where its SDK says how it pauses."""
    pause_exit: int = 0
    """The exit code with which it says that it has saved; 0 where it stands."""
    only: tuple[str, ...] | None = None
    """The caller's own CUDA_VISIBLE_DEVICES: indices or UUIDs it restricts the job to."""
    on: tuple[str, ...] | None = None
    """The same as told by `--gpu`."""
    share: bool = False
    """Utilization does not hold it back beside its user's jobs and others that said so."""
    after: tuple[str, ...] = ()
    """Jobs, by number or name, that must have finished with 0 before it starts."""
    program: ProgramId | None = None
    """None from who cannot say: such a job is never recognised."""
    retry_oom: bool = False
    """Whether it is to run again, with more, after it ran out of memory."""
    retry_of: int = 0
    """The job that ran out of memory and is run again with this one; 0 for any other."""
    no_respawn: str = ""
    """Why the command cannot be run again from its first line; empty when it can."""
    pid: int = 0
    """The launcher."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that a launcher has in its hands when it says hello again."""

    job: int
    attempt: int
    pid: int
    start_time: int
    """Field 22 of /proc/PID/stat: with the pid it names one process for ever."""


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """An ended job is to be run once more, as the same job."""

    checkpoint: str
    """Where it goes on; empty where it begins anew."""
    changed: bool = False
    """Whether it goes on also where files of the program have changed since the checkpoint."""
