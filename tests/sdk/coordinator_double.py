"""A coordinator that says what a test tells it to: a real ROUTER, in a thread or a process."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

import zmq

from gpurun.protocol import messages as m
from gpurun.protocol.codec import decode_request, encode

M = TypeVar("M", bound=m.Message)
JOB, ATTEMPT, TOKEN = 7, 1, "a-token"
PATIENCE = 20.0
"""Seconds after which a test that waits for a message fails."""


def now() -> float:
    """The clock of deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Return when it holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.002)


class Coordinator:
    """Answers each Hello with Welcome, keeps all it hears, and reacts as it was told to."""

    def __init__(self, path: str, pid: int = 0) -> None:
        self.heard: list[m.Message] = []
        self._reactions: list[Callable[[m.Message], m.Message | None]] = []
        self.peers: list[bytes] = []
        self.pid = pid or os.getpid()
        """The process that a Welcome names."""
        self.welcome: Callable[[m.Hello], m.Message] = lambda _: m.Welcome(
            version="double", pid=self.pid
        )
        self._path = path
        self._outbox: list[bytes] = []
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: os.path.exists(self._path), "the socket")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(PATIENCE)

    def stop(self) -> None:
        """Close the socket soon, as at the end of a process."""
        self._closing = True

    def say(self, message: m.Message) -> None:
        """Send it to who spoke last."""
        self.say_bytes(encode(message))

    def say_bytes(self, frame: bytes) -> None:
        """Send what may be no message."""
        self._outbox.append(frame)

    def pause(self, request: int, seconds: float = 60.0, how: str = "exit") -> None:
        """Ask for a pause, to be begun within so many seconds."""
        self.say(m.PauseRequest(job=JOB, request=request, deadline=now() + seconds, how=how))

    def on(self, kind: type[M], answer: Callable[[M], m.Message | None]) -> None:
        """Answer each message of this kind."""
        self._reactions.append(lambda heard: answer(heard) if isinstance(heard, kind) else None)

    def of(self, kind: type[M]) -> list[M]:
        """What was heard of this kind."""
        return [message for message in self.heard if isinstance(message, kind)]

    @property
    def talk(self) -> list[m.Message]:
        """What was heard but for how the training gets on."""
        return [said for said in self.heard if not isinstance(said, m.Cycled | m.Progress)]

    def wait_for(self, kind: type[M], count: int = 1) -> M:
        """The message of this kind that is the count-th heard."""
        wait_until(lambda: len(self.of(kind)) >= count, f"{count} of {kind.__name__}")
        return self.of(kind)[count - 1]

    def _serve(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
            socket.linger = 0
            socket.bind(f"ipc://{self._path}")
            while not self._closing:
                if socket.poll(2):
                    self._hear(*socket.recv_multipart())
                while self._outbox and self.peers:
                    socket.send_multipart([self.peers[-1], self._outbox.pop(0)])

    def _hear(self, peer: bytes, frame: bytes) -> None:
        message = decode_request(frame)
        if peer not in self.peers:
            self.peers.append(peer)
        if isinstance(message, m.Hello):
            self.say(self.welcome(message))
        for react in self._reactions:
            if (answer := react(message)) is not None:
                self.say(answer)
        self.heard.append(message)


@contextmanager
def short_folder() -> Iterator[str]:
    """A folder whose path leaves room for a socket's name."""
    folder = tempfile.mkdtemp(prefix="gpurun-test-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def mortal_process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process for a double to pose as, which a test may kill."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def replaced_at(answer: type[m.Message], path: str, rest: str) -> Iterator[Coordinator]:
    """A coordinator that dies at this answer; the next lets go on what says `rest` in Attach."""
    with mortal_process() as first, Coordinator(path, first.pid) as double:

        def die(_: m.Message) -> None:
            double.pid = os.getpid()
            first.kill()

        def go_on(heard: m.Attach) -> m.Message | None:
            request = getattr(heard, rest)
            return m.GoOn(job=JOB, request=request) if request else None

        double.on(answer, die)
        double.on(m.Attach, go_on)
        yield double
