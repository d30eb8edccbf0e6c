"""Every message, by who speaks. Frozen and typed; the class name is the tag on the wire.

A launcher or an SDK speaks first on each connection: Hello, then all that it knows. Everything
that it says may arrive twice, so each message names its job and attempt, and a pause its request.
Instants named `deadline` are seconds on CLOCK_BOOTTIME, which runs on while the machine sleeps.
"""

import msgspec

from gpurun.protocol.finding import Finding
from gpurun.protocol.job import Again, Held, JobSpec, WaitReason
from gpurun.protocol.status import Estimates, JobStory, Status


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Anything that crosses the socket."""


# --- everybody to the coordinator


class Hello(Message, frozen=True):
    """First on each connection."""

    protocol: int
    version: str
    devices: str = ""
    """The sender's GPURUN_DEVICES: a coordinator that watches others says so."""


# --- launcher to coordinator


class Submit(Message, frozen=True):
    """A job, by the launcher's own UUID, so that saying it again changes nothing."""

    uuid: str
    spec: JobSpec
    held: Held | None = None
    """What runs already: this is a hello after a reconnection."""
    again: Again | None = None
    """How the job, which has ended, is to be run again; None for any other."""


class Spawned(Message, frozen=True):
    """The granted process exists."""

    job: int
    attempt: int
    pid: int
    start_time: int


class SpawnFailed(Message, frozen=True):
    """The granted process could not be started; the job ends with this code."""

    job: int
    attempt: int
    code: int


class Exited(Message, frozen=True):
    """The main process has ended and the launcher has reaped what it could."""

    job: int
    attempt: int
    code: int
    """Exit code, or 128+N when signal N ended it."""
    request: int = 0
    """The pause request for which the launcher ended the tree, or for which a program with no SDK
    has saved and exited; 0 for an end of its own."""
    survivors: tuple[int, ...] = ()
    """Processes of the tree that still live."""


class AskAgain(Message, frozen=True):
    """The lease had run out before the spawn: back into the queue."""

    job: int
    attempt: int


class Changed(Message, frozen=True):
    """Not spawned: the program is not the one that wrote the checkpoint; hold the job."""

    job: int
    attempt: int
    file: str
    """The first file that differs."""


class Leave(Message, frozen=True):
    """The launcher gives up waiting."""

    job: int


# --- coordinator to launcher


class Welcome(Message, frozen=True):
    """The answer to Hello."""

    version: str
    pid: int


class Accepted(Message, frozen=True):
    """The job is in the store."""

    job: int


class Waiting(Message, frozen=True):
    """Why the job waits now; said again when it changes."""

    job: int
    reason: WaitReason
    ahead: int
    """Jobs before it in the queue."""


class Grant(Message, frozen=True):
    """A lease: spawn before the deadline, or ask again."""

    job: int
    attempt: int
    deadline: float
    devices: tuple[str, ...]
    """What CUDA_VISIBLE_DEVICES is to hold."""
    token: str
    memory: int
    """Bytes reserved on each device."""
    utilization: float
    basis: str
    """On what grounds: told, learned, inferred or unknown."""
    place: str
    """The devices in words."""
    limit: int = 0
    """Bytes of each device that the job's SDK is to hold PyTorch to; 0 for no limit."""
    resume: str = ""
    """The checkpoint to go on from; empty at a first start."""
    changed: bool = False
    """Whether it goes on also where files of the program have changed since the checkpoint."""


class EndTree(Message, frozen=True):
    """The checkpoint is durable: end the tree, wait for a grant, spawn it again."""

    job: int
    attempt: int
    request: int


class Terminate(Message, frozen=True):
    """Cancelled: SIGTERM, then SIGKILL after the grace (seconds)."""

    job: int
    grace: float


class Paused(Message, frozen=True):
    """The job has stepped aside; `text` says for whom and for about how long.

    Without a text it merely must not be without a coordinator from now on.
    """

    job: int
    text: str


class Ended(Message, frozen=True):
    """The coordinator has written the end down."""

    job: int
    text: str = ""
    """Peak use and what will be reserved next time; of a job that never ran, why not."""
    ask_for: int = 0
    """Bytes to ask for after an end for lack of memory; 0 after any other, or if there are none."""


# --- SDK to coordinator; or launcher, in the place of the SDK that its program does not have


class Attach(Message, frozen=True):
    """The training can be paused, in these ways; said on each connection."""

    job: int
    attempt: int
    token: str
    pid: int
    """Of the training process: tells two trainings in one job apart."""
    pausable: tuple[str, ...]
    no_respawn: str = ""
    """Why it is not to be run again from its first line unless `--pause exit` says so."""
    resting: int = 0
    """The pause request whose checkpoint is durable and for which the training stands still."""
    checkpoint: str = ""
    standing: int = 0
    """The pause request for which the training stands with all that it holds."""
    parked: int = 0
    """The pause request for which its state is in host memory."""
    kept: int = 0
    """Bytes that one that is parked keeps of each device, as far as it knows."""


class Capturing(Message, frozen=True):
    """At a safe point, inside the deadline: the point of no return."""

    job: int
    attempt: int
    token: str
    request: int


class Standing(Message, frozen=True):
    """At a safe point, inside the deadline: it stands there with all that it holds until GoOn."""

    job: int
    attempt: int
    token: str
    request: int
    step: int
    """0 where nobody counts."""


class Released(Message, frozen=True):
    """Its state is in host memory and the device's is given back: it waits there until GoOn.

    Durable follows when the checkpoint is on disk; or came before, where a script saves by itself.
    """

    job: int
    attempt: int
    token: str
    request: int
    step: int
    kept: int
    """Bytes of each device that the allocator still holds; the context comes on top."""


class Overdue(Message, frozen=True):
    """At a safe point, but after the deadline: the training goes on unless asked anew."""

    job: int
    attempt: int
    token: str
    request: int


class Durable(Message, frozen=True):
    """The checkpoint is on disk; asked to exit, the training waits for the end of its tree."""

    job: int
    attempt: int
    token: str
    request: int
    checkpoint: str
    step: int
    size: int
    """Bytes on disk."""
    seconds: float
    """What capture and write took."""


class Saved(Message, frozen=True):
    """A checkpoint is on disk that was made without a pause; the training goes on meanwhile."""

    job: int
    attempt: int
    token: str
    checkpoint: str
    step: int
    size: int
    """Bytes on disk."""
    seconds: float
    """What capture and write took."""


class Unsaved(Message, frozen=True):
    """The checkpoint of a training that parks could not be written; it is whole in memory."""

    job: int
    attempt: int
    token: str
    request: int
    text: str


class Refused(Message, frozen=True):
    """The pause cannot be carried out; the training goes on as if never asked."""

    job: int
    attempt: int
    token: str
    request: int
    text: str


class Resumed(Message, frozen=True):
    """The state of the checkpoint is loaded; training goes on from here."""

    job: int
    attempt: int
    token: str
    step: int
    """0 where nobody counts."""


class OutOfMemory(Message, frozen=True):
    """An allocation failed; if the job ends with an error now, it is for that."""

    job: int
    attempt: int
    token: str
    needed: int = 0
    """Bytes that it would have held with what it was refused; 0 where that is not known."""


class Cycled(Message, frozen=True):
    """The training has been through all that it does, such as an epoch with validation and save.

    From here on its peak so far is taken for that of the whole run.
    """

    job: int
    attempt: int
    token: str


PROGRESS_TEXT = 200
"""Characters of a progress that are shown; whoever says more is cut off."""


class Progress(Message, frozen=True):
    """How far the training is; said rarely, and only when it has moved on."""

    job: int
    attempt: int
    token: str
    step: int
    """Steps done, over all attempts."""
    total: int = 0
    """Steps in all; 0 where that is not known."""
    text: str = ""
    """Its own figures, such as `loss 0.231`."""


class Detach(Message, frozen=True):
    """The training loop is over: there is nothing to pause any more."""

    job: int
    attempt: int
    token: str
    pid: int


# --- coordinator to SDK, or to the launcher in its place


class PauseRequest(Message, frozen=True):
    """Step aside at the next safe point; said again with a later deadline while it is wanted."""

    job: int
    request: int
    deadline: float
    how: str
    """stand, park or exit."""


class GoOn(Message, frozen=True):
    """The request is withdrawn: train on, also from a standstill."""

    job: int
    request: int


# --- a person's command to the coordinator


class AskStatus(Message, frozen=True):
    """Devices and jobs; ended jobs too with `everything`."""

    everything: bool = False


class AskWhy(Message, frozen=True):
    """The admission sum and the story of one job (a number or a unique name)."""

    job: str


class AskEstimate(Message, frozen=True):
    """What a job of the sender's would reserve, and on what grounds."""

    spec: JobSpec


class AskDoctor(Message, frozen=True):
    """What the coordinator's monitor sees, and what is wrong with it."""


class Pause(Message, frozen=True):
    """Pause a running job and keep it paused, or hold a queued one; answered when it is done."""

    job: str


class Rehearse(Message, frozen=True):
    """Pause a running job and let it go on at once; answered when it trains again."""

    job: str
    how: str = ""
    """stand, park or exit; empty for the first of them that the job offers."""


class Resume(Message, frozen=True):
    """Back into the queue; answered at once, for a job that is lost with a RetryReply."""

    job: str
    changed: bool = False
    """Whether it goes on also where files of the program have changed since the checkpoint."""


class Retry(Message, frozen=True):
    """How is this ended job run again? Whoever asks will be its launcher; nothing changes yet."""

    job: str


class Cancel(Message, frozen=True):
    """SIGTERM, then SIGKILL after the grace (seconds); answered at once."""

    job: str
    grace: float = 10.0


class Adjust(Message, frozen=True):
    """Change what was said of a job; what is None stays. Answered at once."""

    job: str
    priority: int | None = None
    memory: int | None = None
    """Bytes on each device."""
    memory_share: float | None = None
    """The same as a share of each device."""
    utilization: float | None = None
    time: float | None = None
    """Seconds."""


class Drain(Message, frozen=True):
    """Admit nothing new until it is said otherwise; running jobs go on. Answered at once."""

    on: bool


DOES_NOT_FIT = 1
"""The code of the Problem that answers a load for which the device has no room."""


class SimulateLoad(Message, frozen=True):
    """Occupy a simulated device for as long as the sender lives."""

    memory: int
    utilization: float
    pid: int
    device: str = ""
    """UUID or index; empty for the first."""


# --- coordinator to a person's command


class StatusReply(Message, frozen=True):
    """Answers AskStatus."""

    status: Status


class WhyReply(Message, frozen=True):
    """Answers AskWhy."""

    text: str
    story: JobStory


class EstimateReply(Message, frozen=True):
    """Answers AskEstimate, in one sentence and in figures."""

    text: str
    estimate: Estimates


class DoctorReply(Message, frozen=True):
    """Answers AskDoctor."""

    findings: tuple[Finding, ...]


class RetryReply(Message, frozen=True):
    """Answers Retry: the job may be submitted again by its UUID."""

    job: int
    uuid: str
    state: str
    """How it ended."""


class Done(Message, frozen=True):
    """The command took effect, in one line."""

    job: int
    text: str
    pending: bool = False
    """True while the effect is still to come: a last Done follows."""


class Rehearsed(Message, frozen=True):
    """Answers Rehearse: what the pause took, or why the job refused it and goes on."""

    job: int
    text: str
    refused: bool = False
    further: str = ""
    """The next way that the job offers; empty after the last."""


class Problem(Message, frozen=True):
    """The request was refused and changed nothing; one line that says what to do."""

    text: str
    code: int = 125
    """The exit code for the program that asked."""


Request = (
    Hello | Submit | Spawned | SpawnFailed | Exited | AskAgain | Changed | Leave
    | Attach | Capturing | Standing | Released | Overdue | Durable | Saved | Unsaved | Refused
    | Resumed | Detach | OutOfMemory | Cycled | Progress
    | AskStatus | AskWhy | AskEstimate | AskDoctor
    | Pause | Rehearse | Resume | Retry | Cancel | Adjust | Drain | SimulateLoad
)  # fmt: skip
"""What the coordinator reads."""

Reply = (
    Welcome | Accepted | Waiting | Grant | EndTree | Terminate | Paused | Ended
    | PauseRequest | GoOn | StatusReply | WhyReply | EstimateReply | DoctorReply | RetryReply
    | Done | Rehearsed | Problem
)  # fmt: skip
"""What the coordinator writes."""
