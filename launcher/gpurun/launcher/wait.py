"""Wait for a grant, saying why."""

from gpurun.launcher.clock import now
from gpurun.launcher.coordinator_start import ensure_coordinator
from gpurun.launcher.failure import CANCELLED, NOT_ADMITTED, Failure
from gpurun.launcher.inbox import Event, Lost
from gpurun.launcher.launch import Launch
from gpurun.launcher.lines import complain
from gpurun.launcher.signals import ENDING, STOPS, Signal
from gpurun.launcher.waiting_line import WaitingLine
from gpurun.protocol.messages import (
    Accepted,
    Ended,
    Grant,
    Leave,
    Paused,
    Problem,
    Terminate,
    Waiting,
)

ANSWER_DEADLINE = 5.0
"""Seconds in which a coordinator must give a reason to whoever does not want to wait."""


class Wait:
    """One stay in the queue: before the first start, or after a pause."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._inbox = launch.inbox
        patience = launch.patience
        self._give_up = (
            None if patience is None else launch.submitted + (patience or ANSWER_DEADLINE)
        )
        self._why = "the coordinator does not answer"
        self._line = WaitingLine()
        self._grant: Grant | None = None

    def grant(self) -> Grant:
        """The lease to start on; raise Failure when somebody gave up before it came."""
        try:
            while self._grant is None:
                self._react(self._inbox.next(self._next_tick()))
        finally:
            self._line.erase()
        return self._grant

    def _next_tick(self) -> float | None:
        return min((at for at in (self._give_up, self._line.due) if at is not None), default=None)

    def _react(self, event: Event | None) -> None:
        match event:
            case None:
                self._on_tick()
            case Signal():
                self._on_signal(event)
            case Lost():
                self._on_lost()
            case Accepted():
                self._launch.job = event.job
            case Waiting():
                self._on_waiting(event)
            case Grant():
                self._launch.job, self._grant = event.job, event
            case Paused():
                self._on_paused(event)
            case Terminate() | Ended():
                raise Failure(f"job {event.job} was cancelled while it waited", CANCELLED)
            case Problem():
                self._on_problem(event)

    def _on_problem(self, event: Problem) -> None:
        """A job that was accepted once is not given up: it may have hours of training behind it."""
        if not self._launch.job:
            raise Failure(event.text, event.code)
        self._line.erase()
        complain(event.text)

    def _on_tick(self) -> None:
        if self._give_up is not None and now() >= self._give_up:
            self._not_admitted()
        self._line.draw()

    def _on_waiting(self, event: Waiting) -> None:
        self._launch.job, self._launch.end = event.job, None
        self._why = event.reason.text
        if self._launch.patience == 0:
            self._not_admitted()
        if not self._launch.order.quiet:
            self._line.show(event)

    def _on_paused(self, event: Paused) -> None:
        self._launch.end = None
        if event.text:
            self._line.erase()
            self._launch.say(f"job {event.job} paused {event.text}")

    def _on_signal(self, event: Signal) -> None:
        if event.number in ENDING:
            self._leave()
            raise Failure("", 128 + event.number)
        if event.number in STOPS:
            self._line.erase()
            self._inbox.signals.obey(event.number)

    def _on_lost(self) -> None:
        """Start another one; until it answers, a signal does what it does to every program."""
        self._line.erase()
        self._inbox.signals.release()
        try:
            self._inbox.connect(ensure_coordinator(self._launch.paths))
        finally:
            self._inbox.signals.hold()

    def _not_admitted(self) -> None:
        self._leave()
        raise Failure(f"not admitted in time: {self._why}", NOT_ADMITTED)

    def _leave(self) -> None:
        """Give the place in the queue back."""
        if self._launch.job:
            self._inbox.send_last(Leave(job=self._launch.job))
