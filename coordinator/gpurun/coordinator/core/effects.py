"""What is to be done, in order; records are committed before anything is sent."""

import msgspec

from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.events import Peer
from gpurun.coordinator.core.job import Job, Process
from gpurun.protocol.messages import Message


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Anything to do; `cause` names the event that led to it."""

    cause: str


class Record(Effect, frozen=True, kw_only=True):
    """Store the job as it is now, and a line of its story where `trigger` is not empty."""

    job: Job
    at: float
    wall: float
    trigger: str = ""
    detail: str = ""


class Keep(Effect, frozen=True, kw_only=True):
    """Store what must outlive the coordinator and is no job's."""

    key: str
    value: str


class Learn(Effect, frozen=True, kw_only=True):
    """Store what a run leaves behind."""

    profile: Profile


class Send(Effect, frozen=True, kw_only=True):
    """Say something to a client."""

    peer: Peer
    message: Message


class WatchJob(Effect, frozen=True, kw_only=True):
    """Tell when the main process of the job ends."""

    job: int
    process: Process


class WatchLauncher(Effect, frozen=True, kw_only=True):
    """Tell when the launcher of the job ends."""

    job: int
    process: Process


class Sample(Effect, frozen=True, kw_only=True):
    """Look at the devices at once: something started, ended or was released."""
