"""Wait for a grant, saying why."""

from gpurun.launcher.clock import now
from gpurun.launcher.coordinator_start import ensure_coordinator
from gpurun.launcher.failure import CANCELLED, NOT_ADMITTED, Failure
from gpurun.launcher.inbox import Event, Lost
from gpurun.launcher.launch import Launch
from gpurun.launcher.signals import ENDING, STOPS, Signal
from gpurun.launcher.waiting_line import WaitingLine
from gpurun.protocol.job import ReasonCode
from gpurun.protocol.messages import (
    Accepted,
    Ended,
    Grant,
    Leave,
    Message,
    Paused,
    Problem,
    Terminate,
    Waiting,
)

ANSWER_DEADLINE = 5.0
"""Seconds in which a coordinator must give a reason to whoever does not want to wait."""
SILENCE = 2.0
"""Seconds without an answer after which that is said."""


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
        self._silent_at: float | None = now() + SILENCE
        """When it is said that nobody answers; None once somebody has."""
        self._pause_said = False
        """Whether the last line was that of a pause."""
        self._silence_said = False
        self._grant: Grant | None = None

    def grant(self) -> Grant:
        """The lease to start on; raise Failure when somebody gave up before it came."""
        try:
            if self._launch.has_run and not self._inbox.coordinator:  # it ended while the job ran
                self._on_lost()
            while self._grant is None:
                self._react(self._inbox.next(self._next_tick()))
        finally:
            self._line.erase()
        return self._grant

    def _next_tick(self) -> float | None:
        ticks = (self._give_up, self._silent_at, self._line.due)
        return min((at for at in ticks if at is not None), default=None)

    def _react(self, event: Event | None) -> None:
        if isinstance(event, Message):
            self._on_answer()
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
            case Ended() if event.job != self._launch.job:
                pass  # said twice of the attempt before, which ran out of memory
            case Terminate():
                raise Failure(f"job {event.job} was cancelled while it waited", CANCELLED)
            case Ended():
                why = f": {event.text}" if event.text else ""
                raise Failure(f"job {event.job} was cancelled while it waited{why}", CANCELLED)
            case Problem():
                self._on_problem(event)

    def _on_problem(self, event: Problem) -> None:
        """A job that was accepted once is not given up: it may have hours of training behind it."""
        if not self._launch.job:
            raise Failure(event.text, event.code)
        self._line.erase()
        self._launch.complain_once(event.text)

    def _on_tick(self) -> None:
        if self._give_up is not None and now() >= self._give_up:
            self._not_admitted()
        if self._silent_at is not None and now() >= self._silent_at:
            self._on_silence()
        self._line.draw()

    def _on_answer(self) -> None:
        if self._silence_said:
            self._line.forget()
        self._silent_at, self._silence_said = None, False

    def _on_silence(self) -> None:
        self._silent_at, self._silence_said = None, True
        if not self._launch.order.quiet:
            self._line.show_silence(self._launch.job, self._inbox.coordinator)

    def _on_waiting(self, event: Waiting) -> None:
        self._launch.job, self._launch.end = event.job, None
        self._why = event.reason.text
        if self._launch.patience == 0:
            self._not_admitted()
        # "Held by hand" right after "paused by hand" would say the same thing twice.
        self._pause_said = self._pause_said and event.reason.code is ReasonCode.HELD
        if not (self._launch.order.quiet or self._pause_said):
            self._line.show(event)

    def _on_paused(self, event: Paused) -> None:
        self._launch.end = None
        if event.text:
            self._line.forget()
            self._launch.say(f"job {event.job} paused {event.text}")
            self._pause_said = True

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
            self._silent_at = now() + SILENCE
        finally:
            self._inbox.signals.hold()

    def _not_admitted(self) -> None:
        self._leave()
        raise Failure(f"not admitted in time: {self._why}", NOT_ADMITTED)

    def _leave(self) -> None:
        """Give the place in the queue back."""
        if self._launch.job:
            self._inbox.send_last(Leave(job=self._launch.job))
