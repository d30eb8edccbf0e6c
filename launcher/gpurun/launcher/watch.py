"""Watch a running job: pass signals on, reap the whole tree, end it when asked to.

Laws. A signal that the terminal sent is never passed on: the job, in the same process group, has
it already. The launcher stops when job control has stopped its main process, and not otherwise.
A job ends with its main process; what outlives it is reported, unless the tree was to be ended.
"""

import os
import signal

from gpurun.launcher import process
from gpurun.launcher.aside import Aside
from gpurun.launcher.clock import now
from gpurun.launcher.coordinator_start import ensure_coordinator
from gpurun.launcher.failure import Failure
from gpurun.launcher.ground import Ground
from gpurun.launcher.inbox import Event, Lost
from gpurun.launcher.launch import Launch
from gpurun.launcher.signals import STOPS, Signal
from gpurun.launcher.tree import send_signal
from gpurun.protocol.messages import (
    EndTree,
    Exited,
    GoOn,
    Grant,
    Paused,
    PauseRequest,
    Problem,
    Spawned,
    Terminate,
)

START_AGAIN = 10.0
"""Seconds after which it is tried again to start a coordinator for a job that is parked."""
LEFTOVER_GRACE = 2.0
"""Seconds for what a program leaves behind that has saved and exited, such as loader workers."""
DEATH_DEADLINE = 10.0
"""Seconds for killed processes to be gone; one that hangs in a driver call may take longer."""


class Watch:
    """From the spawn of the main process to its end."""

    def __init__(self, launch: Launch, ground: Ground, spawned: Spawned, aside: Aside) -> None:
        self._launch = launch
        self._aside = aside
        self._tree = ground.tree
        self._spawned = spawned
        self._main = spawned.pid
        self._code: int | None = None
        """Of the main process, once it has ended."""
        self._paused = False
        """Whether it has been asked to park, or was paused where it is, in this attempt."""
        self._start_at: float | None = None
        """When it is tried again to start a coordinator."""
        self._request = 0
        """The pause for which the tree is ended."""
        self._kill_at: float | None = None
        """When a cancelled tree is killed."""
        self._gone_by: float | None = None
        """When the wait for killed processes is given up."""
        self._after: list[Event] = []
        """Signals that came while the tree was ended: for whatever comes next."""

    def until_end(self) -> Exited:
        """Stay until the job has ended, or its tree was ended as asked."""
        while not self._is_over():
            ticks = (self._gone_by or self._kill_at, self._start_at, self._aside.due)
            known = (at for at in ticks if at is not None)
            self._react(self._launch.inbox.next(min(known, default=None)))
        self._launch.inbox.put_back(self._after)
        return Exited(
            job=self._spawned.job,
            attempt=self._spawned.attempt,
            code=128 + signal.SIGKILL if self._code is None else self._code,
            request=self._request,
            survivors=tuple(found.pid for found in self._tree.living()),
        )

    def _is_over(self) -> bool:
        if self._gone_by is not None and now() >= self._gone_by:
            return True
        if self._code is None:
            return False
        to_be_ended = self._gone_by is not None or self._kill_at is not None
        return not (to_be_ended and self._tree.living())

    def _react(self, event: Event | None) -> None:
        # A job that hides its environment may have started one: it is not the job's all the same.
        self._tree.others.add(self._launch.inbox.coordinator)
        match event:
            case None:
                self._on_deadline()
            case Signal(number=signal.SIGCHLD):
                self._reap()
            case Signal():
                self._on_signal(event)
            case EndTree(attempt=self._spawned.attempt):
                self._on_end_tree(event)
            case Paused(text=text):
                self._on_paused(event.job, text)
            case PauseRequest() | GoOn():
                if self._code is None and not self._launch.cancelled:
                    self._aside.hear(event)
            case Lost():
                self._on_lost()
            case Terminate():
                self._on_terminate(event)
            case Grant(attempt=self._spawned.attempt):
                self._launch.inbox.send(self._spawned)
            case Problem():
                self._on_problem(event)

    def _on_paused(self, job: int, text: str) -> None:
        """It stays where it is: nothing has to be spawned when it goes on."""
        self._paused = True
        if text:
            self._launch.say(f"job {job} paused {text}")

    def _on_lost(self) -> None:
        self._aside.on_lost()
        if self._paused or self._aside.stands:
            self._start_coordinator()

    def _start_coordinator(self) -> None:
        """A job that is parked goes on only when a coordinator lets it: start another."""
        self._start_at = None
        if self._launch.inbox.coordinator:
            return
        try:
            pid = ensure_coordinator(self._launch.paths)
        except (Failure, OSError) as error:
            self._launch.complain_once(str(error))
            self._start_at = now() + START_AGAIN
        else:
            self._tree.others.add(pid)
            self._launch.inbox.connect(pid)

    def _on_problem(self, event: Problem) -> None:
        """The job does not suffer from it, so that it is no error to whoever wants quiet."""
        if not self._launch.order.quiet:
            self._launch.complain_once(event.text)

    # --- signals

    def _on_signal(self, event: Signal) -> None:
        if self._gone_by is not None or self._left_by_itself:
            self._after.append(event)
        elif self._aside.on_signal(event):
            return
        elif event.number == signal.SIGCONT:
            self._continue()
        elif not event.from_terminal and not process.is_descendant(event.sender, self._main):
            send_signal(self._main, event.number)

    def _continue(self) -> None:
        """`fg` continues the whole group; `kill -CONT` of the launcher alone is for the job."""
        main = process.read(self._main)
        if main and main.state == "T":
            send_signal(self._main, signal.SIGCONT)

    def _reap(self) -> None:
        while (found := _wait_any()) is not None:
            pid, status = found
            if pid == self._main and os.WIFSTOPPED(status):
                self._follow(os.WSTOPSIG(status))
            elif pid == self._main:
                self._on_main_ended(status)

    def _follow(self, stop: int) -> None:
        """Stop as the job did, so that the shell shows both stopped."""
        if stop in STOPS and self._gone_by is None:
            self._launch.inbox.signals.obey(stop)

    def _on_main_ended(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._code = 128 - code if code < 0 else code
        self._aside.on_end()
        if self._kill_at is not None:
            self._tree.signal(signal.SIGTERM)
        elif request := self._aside.request_of(self._code):
            self._request, self._kill_at = request, now() + LEFTOVER_GRACE

    @property
    def _left_by_itself(self) -> bool:
        """Whether it has stepped aside by its own exit, and what it left behind is to end."""
        return self._code is not None and self._request != 0

    # --- ending the tree

    def _on_end_tree(self, event: EndTree) -> None:
        self._request = event.request
        self._kill()

    def _on_terminate(self, event: Terminate) -> None:
        self._launch.cancelled = True
        kill_at = now() + event.grace
        self._kill_at = min(kill_at, self._kill_at or kill_at)
        send_signal(self._main, signal.SIGTERM)
        send_signal(self._main, signal.SIGCONT)
        self._aside.on_end()

    def _on_deadline(self) -> None:
        self._aside.on_due()
        if self._start_at is not None and now() >= self._start_at:
            self._start_coordinator()
        if self._gone_by is None and self._kill_at is not None and now() >= self._kill_at:
            self._kill()

    def _kill(self) -> None:
        self._tree.kill(self._main)
        self._gone_by = now() + DEATH_DEADLINE


def _wait_any() -> tuple[int, int] | None:
    """A child that has ended or stopped, with its status; None when there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
