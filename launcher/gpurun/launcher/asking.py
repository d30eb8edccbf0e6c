"""Asked to exit: a signal to the main process, which saves by itself and exits with a known code.

Laws. A request is signalled once. No program gets a signal that it does not catch: it would be
ended by it, with all that it has not saved. One that exits with its code after a signal
has stepped aside, whatever has become of the request meanwhile; any other code is its end.
"""

from gpurun.launcher import process
from gpurun.launcher.aside import Aside, Voice
from gpurun.launcher.clock import now
from gpurun.launcher.launch import Launch
from gpurun.launcher.pause_signal import number_of
from gpurun.launcher.tree import send_signal
from gpurun.protocol.messages import GoOn, Overdue, PauseRequest, Spawned

LOOK_INTERVAL = 0.2
"""Seconds between two looks whether a program that is asked catches the signal by now."""


class Asks(Aside):
    """A program that saves at a signal."""

    def __init__(self, launch: Launch, spawned: Spawned, token: str) -> None:
        spec = launch.order.spec
        self._main = spawned.pid
        self._number, self._code = number_of(spec.pause_signal), spec.pause_exit
        self._asked: PauseRequest | None = None
        """What has not been signalled yet, for the program does not catch the signal."""
        self._signalled = 0
        """The request that was signalled last."""
        self._look_at: float | None = None
        self._voice = Voice(launch, spawned, token, "exit")
        self._voice.attach()

    @property
    def due(self) -> float | None:
        """When it is looked again whether the program catches the signal."""
        return self._look_at

    def on_due(self) -> None:
        """Signal what is still wanted, if the program catches it by now."""
        if self._asked is not None and self._look_at is not None and now() >= self._look_at:
            self._ask(self._asked)

    def hear(self, message: PauseRequest | GoOn) -> None:
        """What is taken back before it was signalled is forgotten; after that nothing can be."""
        if isinstance(message, GoOn):
            self._forget()
        elif message.how != "exit":
            self._voice.refuse(message.request, "its program can only save and exit")
        elif message.request != self._signalled:
            self._ask(message)

    def on_lost(self) -> None:
        """Who asked is gone; the next one asks again if it wants to."""
        self._forget()

    def request_of(self, code: int) -> int:
        """The request that was signalled last, where this is the code."""
        return self._signalled if code == self._code else 0

    def _ask(self, request: PauseRequest) -> None:
        self._forget()
        if now() > request.deadline:
            self._voice.say(Overdue, request=request.request)
        elif process.catches(self._main, self._number):
            send_signal(self._main, self._number)
            self._signalled = request.request
        else:
            self._asked, self._look_at = request, now() + LOOK_INTERVAL

    def _forget(self) -> None:
        self._asked = self._look_at = None
