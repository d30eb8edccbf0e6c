"""The desk: greets clients, checks what they show, and passes on what needs a decision."""

import functools
import logging
import os
import pwd
from collections import OrderedDict
from typing import get_args

import msgspec

from gpurun.coordinator import clock, processes
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Process
from gpurun.coordinator.core.scheduler import MESSAGES
from gpurun.coordinator.core.state import State
from gpurun.coordinator.gpus import choice
from gpurun.coordinator.server import Incoming
from gpurun.coordinator.tokens import is_token
from gpurun.protocol import messages as m
from gpurun.protocol.codec import MalformedError, decode_request
from gpurun.protocol.version import PROTOCOL, VERSION, disagreement

_log = logging.getLogger(__name__)

_REFUSED_KEPT = 1000
"""Connections of another protocol that are remembered, so that nothing they say is believed."""
_FROM_TRAINING = tuple(kind for kind in get_args(m.Request) if "token" in kind.__struct_fields__)
"""What only an attempt's own token lets anybody say."""


Asked = m.AskStatus | m.AskWhy | m.AskEstimate | m.AskDoctor | m.SimulateLoad


class Question(msgspec.Struct, frozen=True):
    """What changes nothing of a job; answered from the state after the batch that it came with."""

    incoming: Incoming
    message: Asked


Answer = m.Message | MessageEvent | Question | None
"""What to reply at once, or what the scheduler has to decide; None where nothing is said."""


class Desk:
    """Turns a frame into an answer or an event; what is refused changes nothing."""

    def __init__(self, state: State, secret: str, watched: str) -> None:
        self._state, self._secret, self._watched = state, secret, watched
        self._refused: OrderedDict[bytes, None] = OrderedDict()

    def take(self, incoming: Incoming) -> Answer:
        """Read one frame."""
        if incoming.peer in self._refused:
            return None
        if incoming.uid not in (os.getuid(), 0):
            return m.Problem(text=f"this coordinator serves {user_name(os.getuid())} only")
        try:
            message = decode_request(incoming.data)
        except MalformedError as error:
            _log.warning("uid %d, pid %d: %s", incoming.uid, incoming.pid, error)
            return m.Problem(text=str(error))
        if isinstance(message, m.Hello):
            return self._greet(incoming, message)
        if isinstance(message, Asked):
            return Question(incoming, message)
        return self._event(incoming, message)

    def _greet(self, incoming: Incoming, hello: m.Hello) -> m.Message:
        if hello.protocol != PROTOCOL:
            return self._refuse(incoming, disagreement(PROTOCOL, hello.protocol))
        if hello.devices and (trouble := self._other_devices(hello.devices)):
            return self._refuse(incoming, trouble)
        return m.Welcome(version=VERSION, pid=os.getpid())

    def _other_devices(self, wanted: str) -> str:
        """Why who wants these devices cannot be served here; empty where it can."""
        try:
            if choice.read(wanted) == choice.read(self._watched):
                return ""
        except ValueError as error:
            return str(error)
        return (
            f"the running coordinator watches {self._watched}, not {wanted}; "
            "gpurun coordinator stop ends it, and the next gpurun starts one that does"
        )

    def _refuse(self, incoming: Incoming, text: str) -> m.Problem:
        self._refused[incoming.peer] = None
        if len(self._refused) > _REFUSED_KEPT:
            self._refused.popitem(last=False)
        return m.Problem(text=text)

    def _event(self, incoming: Incoming, message: m.Message) -> Answer:
        if isinstance(message, _FROM_TRAINING):
            job = self._state.find(message.job)
            uuid = job.uuid if job is not None else ""
            if not is_token(message.token, self._secret, uuid, message.attempt):
                return m.Problem(text=f"this is not the token of job {message.job}")
        elif type(message) not in MESSAGES:
            return m.Problem(text=f"{type(message).__name__} is not for the coordinator")
        return MessageEvent(
            at=clock.now(),
            peer=incoming.peer,
            uid=incoming.uid,
            user=user_name(incoming.uid),
            message=message,
            sender=_sender(incoming) if isinstance(message, m.Submit) else None,
        )


@functools.lru_cache(maxsize=1024)
def user_name(uid: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _sender(incoming: Incoming) -> Process | None:
    started = processes.start_time(incoming.pid) if incoming.pid else None
    return None if started is None else Process(incoming.pid, started)
