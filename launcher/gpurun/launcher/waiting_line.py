"""What a person sees while a job waits: one live line on a terminal, plain lines elsewhere."""

import os
import sys

from gpurun.launcher import lines
from gpurun.launcher.clock import now
from gpurun.launcher.foreground import in_foreground
from gpurun.protocol.messages import Waiting
from gpurun.protocol.quantity import format_duration

REDRAW = 1.0
"""Seconds; the line shows whole ones."""
_ERASE = "\r\033[K"


class WaitingLine:
    """The reason of the moment; it takes no more than one line of a terminal."""

    def __init__(self) -> None:
        self.due: float | None = None
        """The instant of the next redrawing; None where there is nothing to redraw."""
        self._since = now()
        self._who = self._why = ""
        self._cause: object = None
        self._drawn = False

    def show(self, waiting: Waiting) -> None:
        """Say why the job waits now."""
        self._show(waiting.job, _cause(waiting), _explanation(waiting))

    def show_silence(self, job: int, pid: int) -> None:
        """Say that nobody says why: the coordinator is stopped, or hangs."""
        whose = f" (pid {pid})" if pid else ""
        self._show(job, "silence", f"the coordinator{whose} does not answer")

    def _show(self, job: int, cause: object, why: str) -> None:
        before, self._cause = self._cause, cause
        self._who, self._why = f"job {job} waits" if job else "waits", why
        if _is_terminal():
            self.draw()
        elif before != cause:
            lines.say(f"{self._who}: {why}")

    def draw(self) -> None:
        """Draw the live line anew; not over the shell that the person has gone back to."""
        if self._cause is None or not _is_terminal():
            return
        self.due = now() + REDRAW
        if not in_foreground(2):
            return
        elapsed = format_duration(now() - self._since)
        text = f"gpurun: {self._who} {elapsed}: {self._why}"
        width = os.get_terminal_size(2).columns or 80
        lines.write(_ERASE + lines.clean(text)[: width - 1])
        self._drawn = True

    def erase(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn:
            lines.write(_ERASE)
        self._drawn = False

    def forget(self) -> None:
        """Erase it for good: what it said is no longer so."""
        self.erase()
        self._cause = self.due = None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _cause(waiting: Waiting) -> tuple[object, ...]:
    """What must change before a log gets another line: not the count of missing bytes."""
    reason = waiting.reason
    return reason.code, reason.device, reason.holders


def _explanation(waiting: Waiting) -> str:
    ahead = f" · {waiting.ahead} ahead" if waiting.ahead else ""
    return waiting.reason.text + ahead
