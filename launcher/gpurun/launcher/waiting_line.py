"""What a person sees while a job waits: one live line on a terminal, plain lines elsewhere."""

import os
import sys

from gpurun.launcher import lines
from gpurun.launcher.clock import now
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
        self._waiting: Waiting | None = None
        self._drawn = False

    def show(self, waiting: Waiting) -> None:
        """Say why the job waits now."""
        before, self._waiting = self._waiting, waiting
        if _is_terminal():
            self.draw()
        elif before is None or _cause(before) != _cause(waiting):
            lines.say(f"job {waiting.job} waits: {_explanation(waiting)}")

    def draw(self) -> None:
        """Draw the live line anew; not over the shell that the person has gone back to."""
        if self._waiting is None or not _is_terminal():
            return
        self.due = now() + REDRAW
        if os.tcgetpgrp(2) != os.getpgrp():
            return
        elapsed = format_duration(now() - self._since)
        text = f"gpurun: job {self._waiting.job} waits {elapsed}: {_explanation(self._waiting)}"
        width = os.get_terminal_size(2).columns or 80
        lines.write(_ERASE + lines.clean(text)[: width - 1])
        self._drawn = True

    def erase(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn:
            lines.write(_ERASE)
        self._drawn = False


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _cause(waiting: Waiting) -> tuple[object, ...]:
    """What must change before a log gets another line: not the count of missing bytes."""
    reason = waiting.reason
    return reason.code, reason.device, reason.holders


def _explanation(waiting: Waiting) -> str:
    ahead = f" · {waiting.ahead} ahead" if waiting.ahead else ""
    return waiting.reason.text + ahead
