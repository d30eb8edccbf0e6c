"""A job as the coordinator knows it. Frozen: each change makes a new one, and that is stored.

Instants named `…_at` are seconds since the epoch, for people; spans and deadlines are computed on
CLOCK_BOOTTIME, which no clock change moves.
"""

from enum import StrEnum

import msgspec

from gpurun.coordinator.core.estimator.guess import Basis as Basis
from gpurun.coordinator.core.estimator.guess import Need
from gpurun.coordinator.core.estimator.seen import Seen
from gpurun.protocol.job import JobSpec, JobState


class Process(msgspec.Struct, frozen=True):
    """One process for ever: pids are recycled, a pid with its start time is not."""

    pid: int
    start_time: int


class Reservation(msgspec.Struct, frozen=True):
    """What a job holds on one device from the instant of its admission."""

    device: str
    memory: int
    utilization: float


class Stage(StrEnum):
    """How far a pause has come; after ASKED it cannot be taken back."""

    ASKED = "asked"
    CAPTURING = "capturing"
    DURABLE = "durable"
    ENDED = "ended"


class Way(StrEnum):
    """How a job steps aside; the first that frees enough is taken."""

    STAND = "stand"
    """It keeps all that it holds and computes nothing."""
    PARK = "park"
    """Its state is in host memory, and its process waits with little more than its context."""
    EXIT = "exit"
    """Its state is on disk, and it is ended and spawned again."""


WAYS = tuple(Way)
"""What costs a job least first, which is also what frees least."""


class PauseOrder(msgspec.Struct, frozen=True):
    """One request to step aside."""

    request: int
    deadline: float
    by_user: bool
    waiters: tuple[int, ...] = ()
    """Jobs for which the scheduler asked."""
    stage: Stage = Stage.ASKED
    overdue: bool = False
    """A deadline has passed without a safe point."""
    captured: float = 0.0
    """CLOCK_BOOTTIME of the point of no return."""
    released: float = 0.0
    """CLOCK_BOOTTIME at which one that parks said that its memory was given back."""
    kept: int = 0
    """Bytes of each device that it said it keeps."""
    held: int = 0
    """Bytes of a device that it was seen to hold before."""
    unsaved: bool = False
    """Whether the checkpoint of one that parks could not be written."""
    how: Way = Way.EXIT
    rehearsal: bool = False
    """Whether it is only tried: the job goes on at once, before anybody takes its room."""


class PauseCost(msgspec.Struct, frozen=True):
    """What the last pause in one way took, in seconds; None before the first."""

    leaving: float | None = None
    """From the point of no return until the device was seen free."""
    returning: float | None = None
    """From the grant until the training went on."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one job that must outlive the coordinator."""

    id: int
    uuid: str
    uid: int
    user: str
    spec: JobSpec
    state: JobState = JobState.QUEUED
    held: bool = False
    held_for: str = ""
    """Why it is held, where that was not done by hand."""
    changed: bool = False
    """Whether it is held because files of its program have changed since its checkpoint."""
    takes_changes: bool = False
    """Whether a person has said that it is to go on with them."""
    after: tuple[int, ...] = ()
    """Jobs that must finish before it may start."""
    stopped: bool = False
    """Its launcher let a lease lapse: no grant until it asks again."""
    grace: float | None = None
    """Seconds between SIGTERM and SIGKILL; None while nobody has cancelled it."""

    submitted_at: float
    started_at: float | None = None
    ended_at: float | None = None
    since: float
    """CLOCK_BOOTTIME of the last change of state."""
    waited: float = 0.0
    ran: float = 0.0
    paused: float = 0.0

    attempt: int = 0
    lease: float | None = None
    """CLOCK_BOOTTIME until which a grant may be used."""
    lapsed: tuple[Reservation, ...] | None = None
    """What a lapsed lease had reserved: its launcher may yet turn out to have used it."""
    reservations: tuple[Reservation, ...] = ()
    """Kept until its processes are seen gone, whatever the state."""
    regains: tuple[Reservation, ...] = ()
    """What it is charged with again when it goes on in the processes that it has."""
    granted: int = 0
    """Bytes reserved on each device by the last grant."""
    basis: Basis = Basis.UNKNOWN
    need: Need | None = None
    """What earlier runs said of it when it was last looked at; None of a program unknown here."""
    seen: Seen | None = None
    """What samples have shown of it, as last written; while it runs `State.seen` is ahead."""
    incidents: int = 0
    """How often it was first seen over a reservation."""
    oom: bool = False
    """Whether its training, or the driver, said that it had run out of memory."""
    needed: int = 0
    """Bytes that it would have held then with what it was refused."""
    cycled: bool = False
    """Whether its training has been through all that it does, such as an epoch with validation."""
    process: Process | None = None
    launcher: Process | None = None
    """None when it is gone."""
    left: float | None = None
    """CLOCK_BOOTTIME at which its tree was seen to end."""

    no_respawn: str = ""
    """Why its SDK says that it is not to be run again unless `--pause exit` says so."""
    pausable: tuple[str, ...] | None = None
    """How its SDK says it can be paused; None without one."""
    trainings: tuple[int, ...] = ()
    """Pids of the training loops that are attached."""
    refused: tuple[Way, ...] = ()
    """In which ways it has refused in this attempt: only a person asks again."""
    unpausable: str = ""
    """Why it refused last."""
    pause: PauseOrder | None = None
    pauses: int = 0
    request: int = 0
    """The number of its last pause request: no other coordinator may use it for this job again."""
    returned: float | None = None
    """CLOCK_BOOTTIME of the return from a pause that the scheduler asked for."""
    park_cost: PauseCost = PauseCost()
    exit_cost: PauseCost = PauseCost()
    parked_memory: int | None = None
    """Bytes that it was seen to keep of each device when it was last parked."""
    away: tuple[tuple[float, float], ...] = ()
    """CLOCK_BOOTTIME of the begin and end of each absence of the last day for other users' jobs."""
    checkpoint: str = ""
    exit_code: int | None = None

    @property
    def label(self) -> str:
        """The job in a sentence."""
        return f"job {self.id} ({self.spec.name})"

    @property
    def cancelling(self) -> bool:
        """Whether somebody has cancelled it and its processes are still to end."""
        return self.grace is not None

    @property
    def ended_for_pause(self) -> bool:
        """Whether its tree was ended for the pause under way, and is not yet seen gone."""
        order = self.pause
        return self.state is JobState.PAUSING and order is not None and order.stage is Stage.ENDED

    @property
    def takes_back(self) -> int:
        """Bytes of a device that one which has given its memory back held before."""
        return self.pause.held if self.pause is not None and self.pause.released else 0

    @property
    def to_be_ended(self) -> bool:
        """Whether its launcher is to end its tree: it exits, and its checkpoint is on disk."""
        order = self.pause
        exits = order is not None and order.how is Way.EXIT and order.stage is Stage.DURABLE
        return exits and self.state is JobState.PAUSING

    @property
    def stays(self) -> bool:
        """Whether it is paused with its processes alive: it stands, or is parked."""
        return bool(self.regains)

    @property
    def aside_since(self) -> float:
        """CLOCK_BOOTTIME at which a paused job stepped aside."""
        return self.pause.captured if self.pause is not None else self.since

    @property
    def parked(self) -> bool:
        """Whether it stays with its state in host memory."""
        return self.stays and self.pause is not None and self.pause.released > 0

    @property
    def rehearses(self) -> bool:
        """Whether it has stepped aside only to try that, and waits to go on."""
        return self.state is JobState.PAUSED and self.ready and self.is_tried

    @property
    def is_tried(self) -> bool:
        """Whether the pause under way is a rehearsal."""
        return self.pause is not None and self.pause.rehearsal

    @property
    def ready(self) -> bool:
        """Whether it is in the queue and nothing but room keeps it there."""
        kept = self.held or self.stopped or self.after or self.left is not None
        return self.state.waits and not kept

    def outgrows(self, held: Reservation) -> bool:
        """Whether it was seen to use more than it holds there."""
        seen = self.seen if not self.parked else None  # its peak is from before
        return seen is not None and not seen.assumed and (seen.memory or 0) > held.memory

    @property
    def charged(self) -> bool:
        """Whether any device is charged for it."""
        return bool(self.reservations)
