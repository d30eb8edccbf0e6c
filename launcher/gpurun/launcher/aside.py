"""How a program with no SDK steps aside: the launcher says what the SDK says for others.

The coordinator sees the same offers and answers: Attach on each connection, then Standing, Overdue,
Refused or Resumed, or an end that names the request.
"""

from typing import Any

import msgspec

from gpurun.launcher.launch import Launch
from gpurun.launcher.signals import Signal
from gpurun.launcher.tree import Tree
from gpurun.protocol.messages import Attach, GoOn, Message, PauseRequest, Refused, Resumed, Spawned


class Aside:
    """Of a program that speaks for itself, or cannot be paused."""

    @property
    def stands(self) -> bool:
        """Whether its tree is stopped for a pause."""
        return False

    @property
    def due(self) -> float | None:
        """When (CLOCK_BOOTTIME) `on_due` is to be called; None where time changes nothing."""
        return None

    def on_due(self) -> None:
        """The time has come."""

    def hear(self, message: PauseRequest | GoOn) -> None:
        """The coordinator asks for a pause, or takes it back."""

    def on_lost(self) -> None:
        """The coordinator has ended."""

    def on_signal(self, event: Signal) -> bool:  # noqa: ARG002 - the others look at it
        """Do what a signal to the launcher asks for; give whether that was all."""
        return False

    def on_end(self) -> None:
        """Its main process has ended, or has been told to."""

    def request_of(self, code: int) -> int:  # noqa: ARG002 - the others look at it
        """The pause for which its main process has exited with this code; 0 for none."""
        return 0


class Voice:
    """Says for the program what an SDK would say."""

    def __init__(self, launch: Launch, spawned: Spawned, token: str, way: str) -> None:
        self._launch = launch
        self._names: dict[str, Any] = {
            "job": spawned.job,
            "attempt": spawned.attempt,
            "token": token,
        }
        self._offer = Attach(**self._names, pid=spawned.pid, pausable=(way,))

    def attach(self) -> None:
        """Say that it runs and how it can be paused, now and on each new connection."""
        self.note(0)
        for message in self._launch.offer:
            self._launch.inbox.send(message)

    def note(self, standing: int) -> None:
        """For which request it stands, 0 where it runs: for new connections."""
        offer = msgspec.structs.replace(self._offer, standing=standing)
        # One that runs is back, if it was away; nobody heeds that of any other.
        back = () if standing else (Resumed(**self._names, step=0),)
        self._launch.offer = (offer, *back)

    def say(self, kind: type[Message], **more: object) -> None:
        """Say something of this attempt."""
        self._launch.inbox.send(kind(**self._names, **more))

    def refuse(self, request: int, text: str) -> None:
        """It goes on as if it had never been asked."""
        self.say(Refused, request=request, text=text)


def aside_of(launch: Launch, tree: Tree, spawned: Spawned, token: str) -> Aside:
    """In the way that was told, which is offered from now on."""
    spec = launch.order.spec
    if not spec.pause_signal:
        return Aside()
    from gpurun.launcher.asking import Asks
    from gpurun.launcher.pause_signal import STOP
    from gpurun.launcher.stopping import Stops

    if spec.pause_signal == STOP:
        return Stops(launch, tree, spawned, token)
    return Asks(launch, spawned, token)
