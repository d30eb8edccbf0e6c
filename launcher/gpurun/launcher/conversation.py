"""One command of a person and the coordinator's answers to it."""

import os
from collections.abc import Iterator
from math import ceil
from types import TracebackType
from typing import TypeVar

import zmq

from gpurun.launcher.clock import now
from gpurun.launcher.coordinator_start import ensure_coordinator
from gpurun.launcher.failure import Failure
from gpurun.launcher.link import Link
from gpurun.launcher.peer import listener
from gpurun.launcher.places import enclosing_job, paths, socket_path
from gpurun.protocol.codec import MalformedError
from gpurun.protocol.messages import Message, Problem, Welcome

ANSWER_DEADLINE = 10.0
"""Seconds for an answer to what is answered at once."""

Answer = TypeVar("Answer", bound=Message)


class Conversation:
    """A connection to the coordinator, which is started when none runs."""

    def __init__(self) -> None:
        # A question is for whatever coordinator runs, unless devices were named.
        devices = os.environ.get("GPURUN_DEVICES", "")
        self._link = Link(socket_path(os.environ), _find_coordinator(), devices)

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._link.close()

    def say(self, *messages: Message) -> None:
        """Send what the person wants."""
        for message in messages:
            self._link.send(message)

    def ask(self, question: Message, kind: type[Answer]) -> Answer:
        """The answer of that kind; raise Failure for a Problem."""
        self.say(question)
        for reply in self.replies():
            if isinstance(reply, kind):
                return reply
            if isinstance(reply, Problem):
                raise Failure(reply.text, reply.code)
        raise AssertionError  # replies end with an answer or an exception

    def replies(self, patience: float | None = ANSWER_DEADLINE) -> Iterator[Message]:
        """Each answer in turn, and no end of them; `patience` is in seconds for each.

        Raise Failure when there is none in time, or no coordinator any more.
        """
        while True:
            self._await(None if patience is None else now() + patience)
            try:
                arrived = list(self._link.receive())
            except MalformedError as error:
                raise Failure(f"{error}; is the coordinator of another version?") from None
            for reply in arrived:
                if isinstance(reply, Welcome):
                    self._link.follow(reply.pid)
                else:
                    yield reply

    def _await(self, until: float | None) -> None:
        poller = zmq.Poller()
        poller.register(self._link.socket, zmq.POLLIN)
        if self._link.pidfd >= 0:
            poller.register(self._link.pidfd, zmq.POLLIN)
        ready = dict(poller.poll(None if until is None else max(0, ceil((until - now()) * 1000))))
        if self._link.socket in ready:
            return
        if ready:
            raise Failure("the coordinator has ended; the next command starts it again")
        raise Failure(
            f"the coordinator (pid {self._link.pid}) does not answer; "
            "gpurun coordinator stop ends it, and running jobs are left alone"
        )


def _find_coordinator() -> int:
    if not (job := enclosing_job(os.environ)):
        return ensure_coordinator(paths(os.environ))
    pid = listener(socket_path(os.environ))
    if pid is None:
        raise Failure(f"the coordinator that started job {job} does not run now; try again later")
    return pid
