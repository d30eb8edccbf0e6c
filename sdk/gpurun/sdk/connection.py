"""One connection to the coordinator, from its first message to the end of either side."""

import math
import os
import time

import zmq

from gpurun.protocol import messages as m
from gpurun.protocol.codec import MalformedError, decode_reply, encode

PATIENCE_MIN, PATIENCE_MAX = 0.25, 5.0
"""Seconds to wait for a Welcome before the next attempt with a fresh socket; it doubles."""


class Connection:
    """One socket from its greeting to the end of the coordinator at its other side."""

    def __init__(self, socket: "zmq.Socket[bytes]", wake: int, patience: float) -> None:
        self.connected = False
        self.alive = True
        self.welcomed = False
        self._socket = socket
        self._wake = wake
        self._pidfd: int | None = None
        self._deadline: float | None = time.monotonic() + patience
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN | zmq.POLLOUT)
        self._poller.register(wake, zmq.POLLIN)

    def send(self, message: m.Message) -> None:
        """Queue it; a full queue drops it, since the next greeting says what matters."""
        try:
            self._socket.send(encode(message), zmq.DONTWAIT)
        except zmq.Again:
            return

    def flush(self, seconds: float) -> None:
        """Have what is queued sent on after the close, for so long at most."""
        self._socket.linger = int(seconds * 1000)

    def receive(self, until: float | None = None) -> list[m.Message]:
        """Sleep until something happens, or that instant (monotonic seconds) has come.

        Return what has arrived.
        """
        ready = dict(self._poller.poll(self._timeout(until)))
        if self._wake in ready:
            os.eventfd_read(self._wake)
        if not self.connected and ready.get(self._socket, 0) & zmq.POLLOUT:
            self.connected = True
            self._poller.modify(self._socket, zmq.POLLIN)
        received = self._drain()
        overdue = self._deadline is not None and time.monotonic() >= self._deadline
        if self._pidfd in ready or (overdue and not received):
            self.alive = False
        return received

    def _timeout(self, until: float | None) -> int | None:
        """Milliseconds, rounded up so as not to wake before the first of both instants."""
        instants = [instant for instant in (self._deadline, until) if instant is not None]
        if not instants:
            return None
        return max(0, math.ceil((min(instants) - time.monotonic()) * 1000))

    def watch(self, pid: int) -> None:
        """Learn of the coordinator's end from its pidfd.

        In another pid namespace its pid means nothing here: then begin anew now and then.
        """
        self.welcomed = True
        if self._pidfd is not None:
            return
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:
            self._deadline = time.monotonic() + PATIENCE_MAX
            return
        self._deadline = None
        self._poller.register(self._pidfd, zmq.POLLIN)

    def close(self) -> None:
        """Let go of the pidfd."""
        if self._pidfd is not None:
            os.close(self._pidfd)

    def _drain(self) -> list[m.Message]:
        received = []
        while self._socket.poll(0):
            try:
                received.append(decode_reply(b"".join(self._socket.recv_multipart())))
            except MalformedError:
                continue
        return received
