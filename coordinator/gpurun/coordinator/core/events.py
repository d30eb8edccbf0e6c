"""What happened, as the edges tell it. Each event carries its time: the core has no clock."""

import msgspec

from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.job import Job, Process
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.protocol.messages import Message

Peer = bytes
"""A connection, by the name that the socket gave it."""


class Instant(msgspec.Struct, frozen=True):
    """One moment on two clocks."""

    boot: float
    """CLOCK_BOOTTIME: for everything that is computed."""
    wall: float
    """Seconds since the epoch: for everything that is shown."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that happened."""

    at: Instant

    @property
    def cause(self) -> str:
        """The name that its effects carry."""
        return type(self).__name__


class MessageEvent(Event, frozen=True, kw_only=True):
    """A client said something; uid is the kernel's word, and a token has been checked."""

    peer: Peer
    uid: int
    user: str
    message: Message
    sender: Process | None = None
    """The process that speaks, where it is one that must be watched."""

    @property
    def cause(self) -> str:
        """The name of the message."""
        return type(self.message).__name__


class SampleEvent(Event, frozen=True, kw_only=True):
    """The devices were looked at; `taken` (CLOCK_BOOTTIME) is when the look began."""

    taken: float
    devices: tuple[DeviceSample, ...]
    problem: str = ""


class JobProcessEndEvent(Event, frozen=True, kw_only=True):
    """The main process of a job is gone, by its pidfd."""

    job: int
    process: Process


class LauncherEndEvent(Event, frozen=True, kw_only=True):
    """The launcher of a job is gone, by its pidfd."""

    job: int
    process: Process


class TimerEvent(Event, frozen=True, kw_only=True):
    """The instant that was asked for has come."""


class RestartEvent(Event, frozen=True, kw_only=True):
    """The coordinator starts: all that the store knows, and who of them still lives."""

    jobs: tuple[Job, ...]
    alive: frozenset[Process]
    told: frozenset[int] = frozenset()
    """Jobs whose launchers left word of their end; it follows."""
    drained: bool = False
    """Whether nothing new was to be admitted."""
    profiles: tuple[Profile, ...] = ()
    """What earlier runs have left behind, oldest first."""
