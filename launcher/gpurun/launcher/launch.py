"""What the launcher knows of its one job; every greeting to a coordinator says all of it."""

from collections.abc import Iterator, Mapping
from uuid import uuid4

import msgspec

from gpurun.launcher import lines
from gpurun.launcher.clock import now
from gpurun.launcher.inbox import Inbox
from gpurun.launcher.program import Program
from gpurun.launcher.signals import Signals
from gpurun.protocol.job import Again, Held, JobSpec
from gpurun.protocol.messages import Exited, Message, SpawnFailed, Submit
from gpurun.protocol.paths import Paths


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the person wants to run, and how long they will wait for it."""

    uuid: str
    spec: JobSpec
    words: tuple[str, ...]
    """The command as it was given."""
    environment: Mapping[str, str]
    program: Program
    again: Again | None = None
    """How an ended job is run again; None for a new one."""
    fresh: bool = False
    """Whether what it has saved is removed as it starts."""
    max_wait: float | None = None
    """Seconds until the first start; 0 gives up as soon as there is a reason to wait."""
    quiet: bool = False


End = Exited | SpawnFailed
"""How an attempt ends."""


class Launch:
    """The job's state on this side of the socket."""

    def __init__(self, order: Order, paths: Paths, coordinator: int) -> None:
        self.order = order
        self.paths = paths
        self.job = 0
        self.held: Held | None = None
        self.offer: tuple[Message, ...] = ()
        """What is said for a program with no SDK: how it can be paused, and whether it stands."""
        self.end: End | None = None
        """The end of the last attempt while nobody has confirmed it."""
        self.patience = order.max_wait
        """Seconds that are left to wait; None once it has started, and for whoever waits."""
        self.submitted = now()
        self.cancelled = False
        """Whether the job was told to end."""
        self.has_run = False
        """Whether an attempt has ended: the next one goes on."""
        self.ask_for = 0
        """Bytes to ask for after an end for lack of memory; 0 where there is nothing to try."""
        self._complaints: set[str] = set()
        # No job may land on a simulated device that nobody has named.
        devices = order.environment.get("GPURUN_DEVICES") or "nvml"
        self.inbox = Inbox(paths.socket, coordinator, devices, Signals(), self._greeting)

    def _greeting(self) -> Iterator[Message]:
        again = None if self.job else self.order.again  # once accepted, it lives again
        yield Submit(uuid=self.order.uuid, spec=self.order.spec, held=self.held, again=again)
        yield from self.offer
        if self.end:
            yield self.end

    @property
    def tries_again(self) -> bool:
        """Whether the ended job is to run once more, with more memory."""
        spec = self.order.spec
        return bool(spec.retry_oom and self.ask_for) and not (self.cancelled or spec.no_respawn)

    def begin_again(self) -> None:
        """Submit the command as another job, with more where its memory was told."""
        spec = self.order.spec
        if spec.memory or spec.memory_share or spec.program is None:
            spec = msgspec.structs.replace(spec, memory=self.ask_for, memory_share=None)
        spec = msgspec.structs.replace(spec, retry_of=self.job)
        self.order = msgspec.structs.replace(
            self.order, uuid=str(uuid4()), spec=spec, again=None, fresh=False
        )
        self.job, self.held, self.end, self.ask_for = 0, None, None, 0
        self.has_run = False
        self.inbox.send(Submit(uuid=self.order.uuid, spec=spec))

    def say(self, text: str) -> None:
        """One of gpurun's own lines, unless they are not wanted."""
        if not self.order.quiet:
            lines.say(text)

    def complain_once(self, text: str) -> None:
        """An error line for what each new connection would say again."""
        if text not in self._complaints:
            self._complaints.add(text)
            lines.complain(text)
