"""The one place where the launcher waits: replies, signals and the coordinator's end, in order.

The connection looks after itself here. A coordinator that has died, or does not answer, is looked
for again for ever, at a slow pace, and is told all that the launcher knows.
"""

from collections import deque
from collections.abc import Callable, Iterable
from math import ceil

import zmq

from gpurun.launcher.clock import now
from gpurun.launcher.failure import Failure
from gpurun.launcher.link import Link
from gpurun.launcher.peer import listener
from gpurun.launcher.signals import Signal, Signals
from gpurun.protocol.codec import MalformedError
from gpurun.protocol.messages import Message, Problem, Welcome

PROBE_INTERVAL = 0.5
"""Seconds; a new coordinator waits 2 s for the launchers of its running jobs."""
WELCOME_DEADLINE, LONGEST_WELCOME = 2.0, 30.0


class Lost:
    """The coordinator's process has ended."""


Event = Message | Signal | Lost


class Inbox:
    """What happens to a launcher, one event at a time."""

    def __init__(
        self,
        path: str,
        pid: int,
        devices: str,
        signals: Signals,
        greeting: Callable[[], Iterable[Message]],
    ) -> None:
        self.signals = signals
        self._devices = devices
        self._path = path
        self._greeting = greeting
        self._events: deque[Event] = deque()
        self._patience = WELCOME_DEADLINE
        self.welcomed = False
        self.connect(pid)

    @property
    def coordinator(self) -> int:
        """Its pid; 0 while there is none."""
        return self._link.pid if self._link else 0

    def connect(self, pid: int) -> None:
        """A fresh connection, with all that the launcher knows."""
        self._link: Link | None = Link(self._path, pid, self._devices, self._greeting())
        self._due = now() + self._patience
        self.welcomed = False

    def send(self, message: Message) -> None:
        """Say it now, if anybody is there; the greeting says it again otherwise."""
        if self._link:
            self._link.send(message)

    def send_last(self, message: Message) -> None:
        """Say it and hang up."""
        if self._link:
            self._link.send_last(message)

    def put_back(self, events: Iterable[Event]) -> None:
        """Let these come next."""
        self._events.extendleft(reversed(list(events)))

    def next(self, until: float | None = None) -> Event | None:
        """The next event, or None at the instant `until` (on CLOCK_BOOTTIME)."""
        while not self._events:
            at = now()
            if until is not None and at >= until:
                return None
            self._tend(at)
            self._poll(min((d for d in (until, self._deadline()) if d is not None), default=None))
        return self._events.popleft()

    def _deadline(self) -> float | None:
        return None if self.welcomed else self._due

    def _poll(self, until: float | None) -> None:
        poller = zmq.Poller()
        poller.register(self.signals.fd, zmq.POLLIN)
        if self._link:
            poller.register(self._link.socket, zmq.POLLIN)
            if self._link.pidfd >= 0:
                poller.register(self._link.pidfd, zmq.POLLIN)
        timeout = None if until is None else max(0, ceil((until - now()) * 1000))
        ready = dict(poller.poll(timeout))
        self._take(ready)

    def _take(self, ready: dict[object, int]) -> None:
        if self.signals.fd in ready:
            self._events += self.signals.read()
        if self._link and self._link.socket in ready:
            self._listen(self._link)
        if self._link and self._link.pidfd in ready:
            self._drop()
            self._events.append(Lost())

    def _listen(self, link: Link) -> None:
        try:
            for message in link.receive():
                self._hear(message)
        except MalformedError as error:  # who waits is told; a running job must not suffer from it
            text = f"{error}; is the coordinator of another version?"
            self._events.append(Problem(text=text))
            if self.welcomed:
                self._drop()

    def _hear(self, message: Message) -> None:
        if isinstance(message, Welcome) and self._link:
            self.welcomed, self._patience = True, WELCOME_DEADLINE
            self._link.follow(message.pid)
        else:
            self._events.append(message)

    def _drop(self) -> None:
        if self._link:
            self._link.close()
        self._link, self.welcomed, self._due = None, False, now() + PROBE_INTERVAL

    def _tend(self, at: float) -> None:
        """Look for a coordinator when it is time to."""
        if self.welcomed or at < self._due:
            return
        if self._link:  # it did not answer
            self._patience = min(2 * self._patience, LONGEST_WELCOME)
        self._drop()
        try:
            pid = listener(self._path)
        except Failure:  # nobody to speak to, as yet
            return
        if pid is not None:
            self.connect(pid)
