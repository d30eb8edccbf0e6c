"""The socket: frames in and out, who sent them, and what a flood may not do.

On ipc:// ZeroMQ reports the kernel's word for the sender (SO_PEERCRED). The uid is sound; the pid
is that of the process that connected.
"""

import logging
import os
from collections.abc import Iterator

import msgspec
import zmq

from gpurun.protocol.codec import MAX_MESSAGE, encode
from gpurun.protocol.messages import Message

_log = logging.getLogger(__name__)

_BATCH = 200
"""Frames read before the loop turns to other things."""


class ServerError(Exception):
    """The endpoint cannot be had; the text is one line that says what to do."""


class Incoming(msgspec.Struct, frozen=True):
    """One frame and its sender."""

    peer: bytes
    uid: int
    pid: int
    """0 for a sender in another pid namespace."""
    data: bytes


class Server:
    """A ROUTER on the coordinator's endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
        self.socket.setsockopt(zmq.LINGER, 500)
        self._path = endpoint.removeprefix("ipc://")
        self._inode = -1
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            text = f"cannot listen on {endpoint} ({error.strerror}); see what lies there"
            raise ServerError(text) from None
        self._inode = self._found()

    @property
    def reachable(self) -> bool:
        """Whether the socket still lies where clients look for it: logging out may remove it."""
        return self._found() == self._inode

    def receive(self) -> Iterator[Incoming]:
        """What has come in, without waiting."""
        for _ in range(_BATCH):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            sender = _sender(frames[1]) if len(frames) == 2 else None
            if sender is None:
                _log.warning("dropped a message of %d parts or of nobody", len(frames))
            else:
                yield Incoming(frames[0].bytes, *sender, frames[1].bytes)

    def send(self, peer: bytes, message: Message) -> None:
        """Say something to a peer; one that is gone or does not read misses it."""
        try:
            self.socket.send_multipart((peer, encode(message)), zmq.NOBLOCK)
        except zmq.ZMQError as error:
            _log.info("%s not delivered: %s", type(message).__name__, error)

    def _found(self) -> int:
        try:
            return os.stat(self._path).st_ino
        except OSError:
            return 0

    def close(self) -> None:
        """Let the last words out and free the endpoint."""
        if self.reachable:
            os.unlink(self._path)
        self.socket.close()
        self._context.term()


def _sender(frame: zmq.Frame) -> tuple[int, int] | None:
    """Uid and pid from `localhost:UID:GID:PID`; None for who speaks ZMTP 1, which has no such word.

    Any bytes that do not begin with 255 are ZMTP 1 to ZeroMQ.
    """
    try:
        _, uid, _, pid = str(frame.get("Peer-Address")).split(":")
    except zmq.ZMQError:
        return None
    return int(uid), int(pid)
