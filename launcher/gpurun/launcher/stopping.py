"""Asked to stand: SIGSTOP of the whole tree, and SIGCONT when it may go on.

Laws. A tree that stands is not stopped by job control: the launcher does not stop with it, and
obeys Ctrl-Z in its place; what ends a job continues it first, so that it can end. Nothing stays
stopped for ever: not beside a coordinator that is gone, nor after the end of the launcher, nor,
where it is several processes, for longer than their peers wait for each other.
"""

import signal

from gpurun.launcher.aside import Aside, Voice
from gpurun.launcher.clock import now
from gpurun.launcher.guard import Guard
from gpurun.launcher.launch import Launch
from gpurun.launcher.signals import STOPS, Signal
from gpurun.launcher.tree import Tree
from gpurun.protocol.messages import GoOn, Overdue, PauseRequest, Resumed, Spawned, Standing
from gpurun.protocol.quantity import format_duration

GRACE = 10.0
"""Seconds for which a tree stays stopped beside a dead coordinator: the SDK waits as long."""
TOGETHER = 300.0
"""Seconds for which several processes stand: NCCL's watchdogs end one after 8 to 10 minutes."""
ENDS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


class Stops(Aside):
    """A program whose tree may be stopped."""

    def __init__(self, launch: Launch, tree: Tree, spawned: Spawned, token: str) -> None:
        self._launch, self._tree, self._main = launch, tree, spawned.pid
        self._request = 0
        """For which it stands; 0 while it runs."""
        self._guard: Guard | None = None
        self._together_until: float | None = None
        """When several processes go on by themselves."""
        self._alone_until: float | None = None
        """When it goes on beside a coordinator that is gone."""
        self._voice = Voice(launch, spawned, token, "stand")
        self._voice.attach()

    @property
    def stands(self) -> bool:
        """Whether its tree is stopped for a pause."""
        return self._request != 0

    @property
    def due(self) -> float | None:
        """When it goes on by itself."""
        known = [at for at in (self._together_until, self._alone_until) if at is not None]
        return min(known, default=None)

    def on_due(self) -> None:
        """Go on where nobody can be waited for any longer."""
        if self._together_until is not None and now() >= self._together_until:
            longest = format_duration(TOGETHER)
            self._go_on_by_itself(f"its processes wait for each other, for {longest} at most")
        if self._alone_until is None or now() < self._alone_until:
            return
        self._alone_until = None
        if not self._launch.inbox.welcomed:
            self._go_on_by_itself("there is no coordinator")

    def hear(self, message: PauseRequest | GoOn) -> None:
        """It answers at once: there is no safe point to wait for."""
        if isinstance(message, GoOn):
            if self.stands and message.request == self._request:
                self._go_on()
                self._voice.say(Resumed, step=0)
        elif message.how != "stand":
            self._voice.refuse(message.request, "its program can only stand where it is")
        elif not self.stands and now() > message.deadline:
            self._voice.say(Overdue, request=message.request)
        else:
            self._stand(message.request)

    def on_lost(self) -> None:
        """Another coordinator has some time to come."""
        if self.stands:
            self._alone_until = now() + GRACE

    def on_signal(self, event: Signal) -> bool:
        """Job control is for the launcher alone; what ends a program must find it awake."""
        if not self.stands:
            return False
        if event.number == signal.SIGCONT:  # `fg` has continued the whole group
            if why := self._stop():
                self._go_on_by_itself(why)
            return True
        if event.number in STOPS:
            self._launch.inbox.signals.obey(event.number)
            return True
        if event.number in ENDS:
            self._go_on_by_itself("")
        return False

    def on_end(self) -> None:
        """It can end only while it runs, and what outlives it is not to stay stopped."""
        if self.stands:
            self._go_on_by_itself("")

    def _stand(self, request: int) -> None:
        if not self.stands and (why := self._stop()):
            self._tree.go_on()
            self._voice.refuse(request, why)
            return
        self._request = request
        self._voice.note(request)
        self._voice.say(Standing, request=request, step=0)

    def _stop(self) -> str:
        """Stop all of it; give why nobody watches over it, where that is so."""
        stopped = self._tree.freeze(self._main)
        self._dismiss_guard()
        try:
            self._guard = Guard(stopped, self._launch.inbox.signals.original)
        except OSError as error:
            return f"no process could be started to watch over it ({error.strerror})"
        self._tree.others.add(self._guard.pid)
        if len(stopped) > 1 and self._together_until is None:
            self._together_until = now() + TOGETHER
        return ""

    def _go_on(self) -> None:
        self._tree.go_on()
        self._dismiss_guard()
        self._request = 0
        self._together_until = self._alone_until = None
        self._voice.note(0)

    def _go_on_by_itself(self, why: str) -> None:
        self._go_on()
        self._voice.attach()
        if why:
            self._launch.say(f"job {self._launch.job} goes on: {why}")

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.dismiss()
            self._tree.others.discard(self._guard.pid)
            self._guard = None
