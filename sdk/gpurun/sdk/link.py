"""The line to the coordinator: one daemon thread that owns the socket.

Nothing that happens here may disturb the training: a coordinator that is dead, slow or of
another version means only that the training cannot be paused. The thread sleeps in poll while
there is nothing to do. Forked loader workers inherit neither the thread nor the right to use
what it owns (a ZeroMQ context does not survive a fork), so each use checks the process id.
"""

import os
import signal
import threading
import time
from collections import deque
from typing import Any

import zmq

from gpurun.protocol import messages as m
from gpurun.protocol.version import PROTOCOL
from gpurun.sdk import sources
from gpurun.sdk.attempt import Attempt
from gpurun.sdk.connection import PATIENCE_MAX, PATIENCE_MIN, Connection
from gpurun.sdk.progress import Progress
from gpurun.sdk.say import say

FAREWELL = 1.0
"""Seconds for which the end of a training waits at most for its last words to go out."""


class Link:
    """Carries requests to pause to the training thread, and its answers back."""

    def __init__(
        self,
        attempt: Attempt,
        pausable: tuple[str, ...],
        resumed: int | None,
        *,
        no_respawn: str = "",
    ) -> None:
        self.request: m.PauseRequest | None = None
        """What the training has not answered yet; read at each step without a lock."""
        self.withdrawn = 0
        """The request that the coordinator took back last."""
        self.resting: m.Standing | m.Released | m.Durable | None = None
        """What the training stands still for; said again on each connection."""
        self.saved = ""
        """The checkpoint of a training that is parked, once it is on disk."""
        self.welcomed = False
        """Whether a coordinator has answered, now or before."""
        self.dead_since: float | None = None
        """The instant (monotonic seconds) at which the coordinator was seen dead."""
        self.changed = threading.Condition()
        """Guards and announces all of the above."""
        self._attempt = attempt
        self._pausable = pausable
        self._resumed = resumed
        self._no_respawn = no_respawn
        self._attached = True
        self._pid = os.getpid()
        self._outbox: deque[m.Message] = deque()
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.progress = Progress(self._wake, resumed or 0)
        """What the training tells of itself at each step."""
        self._thread = threading.Thread(target=self._serve, name="gpurun", daemon=True)

    def open(self) -> None:
        """Start to speak; from here on the training may be asked to pause."""
        sources.note()
        self._thread.start()

    def close(self) -> None:
        """Detach and stop, at the end of the training; waits for FAREWELL at most."""
        if os.getpid() != self._pid:
            return
        self._closing = True
        self.progress.close()
        os.eventfd_write(self._wake, 1)
        self._thread.join(FAREWELL)
        if not self._thread.is_alive():
            os.close(self._wake)

    def take(self) -> m.PauseRequest | None:
        """Take the request to answer it; None when it was withdrawn meanwhile."""
        with self.changed:
            request, self.request = self.request, None
        return request

    def send(self, message: m.Message) -> None:
        """Hand a message to the thread; an answer that a dead coordinator misses is void."""
        if os.getpid() == self._pid:
            self._outbox.append(message)
            os.eventfd_write(self._wake, 1)

    def go_on_from(self, step: int) -> None:
        """Say, now and on each connection, that the training has come back to this step."""
        self._resumed = step
        self.send(m.Resumed(**self.fields(), step=step))

    def offer(self, pausable: tuple[str, ...]) -> None:
        """Say that it can be paused in these ways from now on."""
        if pausable != self._pausable:
            self._pausable = pausable
            if self._attached:
                self.send(self._attach({}))

    def detach(self) -> None:
        """Say that it comes to no safe point before it attaches again."""
        if self._attached:
            self._attached = False
            self.send(m.Detach(**self.fields(), pid=self._pid))

    def attach(self) -> None:
        """Say that it comes to safe points again; what was asked before is void."""
        if not self._attached:
            with self.changed:
                self.request = None
            self._attached = True
            self.send(self._attach({}))

    def fields(self) -> dict[str, Any]:
        """What each message of this attempt begins with."""
        attempt = self._attempt
        return {"job": attempt.job, "attempt": attempt.number, "token": attempt.token}

    # --- in the thread

    def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with zmq.Context() as context:
                self._connect_again_and_again(context)
        except Exception as error:  # noqa: BLE001 - the training goes on whatever fails here
            say(f"the link to the coordinator failed ({error}); this training cannot be paused")
        finally:
            self._mourn()

    def _connect_again_and_again(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        patience = PATIENCE_MIN
        while True:
            with context.socket(zmq.DEALER) as socket:
                socket.linger = 0
                socket.immediate = 1  # nothing is queued for a coordinator that is not there
                socket.connect(f"ipc://{self._attempt.socket}")
                connection = Connection(socket, self._wake, patience)
                self._converse(connection)
                patience = PATIENCE_MIN if connection.welcomed else min(2 * patience, PATIENCE_MAX)
                connection.close()
            self._mourn()
            if self._closing:
                return

    def _greet(self, connection: Connection) -> None:
        """Say all that is known now; what an earlier coordinator has missed is out of date."""
        with self.changed:
            rest = _rest(self.resting, self.saved)
        self._drop_answers()
        self.progress.forget()
        connection.send(m.Hello(protocol=PROTOCOL, version=_version()))
        if self._attached:
            connection.send(self._attach(rest))
        if self._resumed is not None:
            connection.send(m.Resumed(**self.fields(), step=self._resumed))

    def _attach(self, rest: dict[str, Any]) -> m.Attach:
        ways: dict[str, Any] = {"pausable": self._pausable, "no_respawn": self._no_respawn}
        return m.Attach(**self.fields(), pid=self._pid, **ways, **rest)

    def _drop_answers(self) -> None:
        """An answer is for who asked, an earlier coordinator; a greeting says how it is now."""
        for _ in range(len(self._outbox)):  # the training may append meanwhile
            said = self._outbox.popleft()
            if not hasattr(said, "request") and not isinstance(said, m.Attach | m.Detach):
                self._outbox.append(said)

    def _converse(self, connection: Connection) -> None:
        greeted = False
        # What was said before the first greeting is not swallowed by an early end.
        while connection.alive and not (self._closing and (greeted or not self._outbox)):
            if connection.connected and not greeted:
                self._greet(connection)
                greeted = True
            if greeted:
                self._send_all(connection)
                self._send_progress(connection)
            for message in connection.receive(self.progress.due() if greeted else None):
                self._on_message(message, connection)
        if greeted and self._closing:
            self._send_all(connection)
            self._send_progress(connection, last=True)
            if self._attached:
                connection.send(m.Detach(**self.fields(), pid=self._pid))
            connection.flush(FAREWELL)

    def _send_all(self, connection: Connection) -> None:
        while self._outbox:
            connection.send(self._outbox.popleft())

    def _send_progress(self, connection: Connection, *, last: bool = False) -> None:
        news = self.progress.news(last=last)
        if news is not None:
            connection.send(m.Progress(**self.fields(), **news))

    def _on_message(self, message: m.Message, connection: Connection) -> None:
        with self.changed:
            match message:
                case m.Welcome(pid=pid):
                    connection.watch(pid)
                    self.welcomed, self.dead_since = True, None
                case m.PauseRequest(job=self._attempt.job):
                    self.request = message
                    if self.withdrawn == message.request:
                        self.withdrawn = 0
                case m.GoOn(job=self._attempt.job, request=request):
                    self.withdrawn = request
                    if self.request is not None and self.request.request == request:
                        self.request = None
                case m.Problem(text=text):
                    say(f"{text} (until then the SDK cannot pause this training)")
            self.changed.notify_all()

    def _mourn(self) -> None:
        with self.changed:
            if self.dead_since is None:
                self.dead_since = time.monotonic()
            self.request = None
            self.changed.notify_all()


def _rest(resting: m.Standing | m.Released | m.Durable | None, saved: str) -> dict[str, Any]:
    """What Attach says of a training that has stepped aside."""
    match resting:
        case m.Standing(request=request):
            return {"standing": request}
        case m.Released(request=request, kept=kept):
            return {"parked": request, "kept": kept, "checkpoint": saved}
        case m.Durable(request=request, checkpoint=path):
            return {"resting": request, "checkpoint": path}
    return {}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gpurun-scheduler")
    except PackageNotFoundError:
        return "unknown"
