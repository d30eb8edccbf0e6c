"""One connection to one coordinator; nothing here tries twice.

Messages may vanish with a coordinator, so what matters is answered, or said again after the next
Hello. No routing id is ever set: ZeroMQ drops whoever shares one.
"""

import os
from collections.abc import Iterable

import zmq

from gpurun.protocol.codec import decode_reply, encode
from gpurun.protocol.messages import Hello, Message
from gpurun.protocol.version import PROTOCOL, VERSION

FLUSH_DEADLINE = 500
"""Milliseconds for the last word."""


class Link:
    """A DEALER socket and a pidfd of the process behind it."""

    def __init__(self, path: str, pid: int, devices: str, greeting: Iterable[Message] = ()) -> None:
        self.pid = pid
        self.pidfd = open_pidfd(pid)
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"ipc://{path}")
        self.send(Hello(protocol=PROTOCOL, version=VERSION, devices=devices))
        for message in greeting:
            self.send(message)

    def send(self, message: Message) -> None:
        """Queue a message; one that a full queue refuses is said again after the next Hello."""
        try:
            self.socket.send(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return

    def receive(self) -> Iterable[Message]:
        """Every reply that has arrived; raise MalformedError for what is none."""
        while self.socket.poll(0):
            yield decode_reply(self.socket.recv())

    def follow(self, pid: int) -> None:
        """Watch the process that the coordinator names as its own."""
        if pid != self.pid:
            self._forget()
            self.pid, self.pidfd = pid, open_pidfd(pid)

    def close(self) -> None:
        """Drop the connection and whatever was not sent."""
        self.socket.close()
        self._forget()

    def send_last(self, message: Message) -> None:
        """Say something that nobody confirms, and stay until it is out."""
        self.send(message)
        self.socket.close(FLUSH_DEADLINE)
        zmq.Context.instance().term()

    def _forget(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.pidfd = -1


def open_pidfd(pid: int) -> int:
    """A descriptor that is readable once the process has ended, or -1 when it is not to be seen."""
    try:
        return os.pidfd_open(pid) if pid else -1
    except OSError:
        return -1
