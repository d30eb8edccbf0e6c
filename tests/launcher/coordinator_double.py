"""A coordinator that says what the test tells it to: a real ROUTER socket, the real protocol."""

import os
import time
from typing import TypeVar

import zmq

from gpurun.protocol.codec import decode_request, encode
from gpurun.protocol.job import ReasonCode, WaitReason
from gpurun.protocol.messages import (
    Accepted,
    Ended,
    Exited,
    Grant,
    Hello,
    Message,
    Submit,
    Waiting,
    Welcome,
)

DEADLINE = 10.0
M = TypeVar("M", bound=Message)


def boottime(ahead: float = 0.0) -> float:
    """An instant as leases have them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) + ahead


class CoordinatorDouble:
    """Reads when the test expects something; every Hello is answered by itself."""

    def __init__(self, runtime: str) -> None:
        os.makedirs(runtime, exist_ok=True)
        self.path = f"{runtime}/coordinator.sock"
        self.heard: list[Message] = []
        self.unread: list[tuple[bytes, Message]] = []
        self.peer = b""
        self.pid = os.getpid()
        """What it calls itself; a launcher watches that process."""
        self.greets = True
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 1000
        self._socket.bind(f"ipc://{self.path}")

    def close(self) -> None:
        self._context.destroy()

    def send(self, *messages: Message) -> None:
        for message in messages:
            self._socket.send_multipart([self.peer, encode(message)])

    def expect(self, kind: type[M], within: float = DEADLINE) -> M:
        """The next message of this kind; whoever sent it is the one that `send` speaks to."""
        end = time.monotonic() + within
        while True:
            for at, (peer, message) in enumerate(self.unread):
                if isinstance(message, kind):
                    del self.unread[at]
                    self.peer = peer
                    return message
            assert time.monotonic() < end, f"no {kind.__name__}; heard {self.heard}"
            self._listen(end - time.monotonic())

    def quiet(self, kind: type[Message], seconds: float) -> bool:
        """Whether no message of this kind comes in that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._listen(left)
            if any(isinstance(message, kind) for _, message in self.unread):
                return False
        return True

    def _listen(self, seconds: float) -> None:
        if not self._socket.poll(max(0, round(seconds * 1000))):
            return
        peer, data = self._socket.recv_multipart()
        message = decode_request(data)
        self.heard.append(message)
        if isinstance(message, Hello):
            if self.greets:
                self._greet(peer)
        else:
            self.unread.append((peer, message))

    def _greet(self, peer: bytes) -> None:
        self._socket.send_multipart([peer, encode(Welcome(version="0.1.0", pid=self.pid))])

    # --- the usual course

    def accept(self, job: int = 1) -> Submit:
        submit = self.expect(Submit)
        self.send(Accepted(job=job))
        return submit

    def admit(self, **changes: object) -> Submit:
        """Accept a job and let it start."""
        submit = self.accept()
        self.send(grant(**changes))
        return submit

    def end(self, text: str = "") -> Exited:
        """Hear the end of a job and confirm it."""
        exited = self.expect(Exited)
        self.send(Ended(job=exited.job, text=text))
        return exited


def waiting(text: str, ahead: int = 0, code: ReasonCode = ReasonCode.MEMORY) -> Waiting:
    """Job 1 waits."""
    return Waiting(job=1, reason=WaitReason(code, text), ahead=ahead)


def grant(**changes: object) -> Grant:
    """A lease for job 1, with these differences."""
    fields: dict[str, object] = {
        "job": 1,
        "attempt": 1,
        "deadline": boottime(10.0),
        "devices": ("GPU-sim-0",),
        "token": "secret",
        "memory": 6 * 1024**3,
        "utilization": 0.4,
        "basis": "told",
        "place": "GPU 0 (Simulated 24.0 GiB)",
    }
    return Grant(**(fields | changes))  # type: ignore[arg-type]
