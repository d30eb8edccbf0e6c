"""The job that a script has open: one at a time, and closed in order whichever way it ends.

It ends with its `with`, with an error that nobody catches, when the next one is made, when nobody
knows it any more, or with the interpreter.
"""

import os
import sys
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from gpurun.sdk.attempt import Attempt
from gpurun.sdk.opening import opened
from gpurun.sdk.route import Route
from gpurun.sdk.saves import Saves
from gpurun.sdk.say import say
from gpurun.sdk.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.loop import Job

_present: "weakref.WeakMethod[Callable[[BaseException | None], None]] | None" = None
"""Closes the one that is open."""
_hears = False
"""Whether errors that nobody catches are heard of."""


class Opened:
    """What is open for one job."""

    def __init__(
        self,
        made: "Job",
        subject: Subject,
        attempt: Attempt,
        route: Route,
        closed: Callable[[], None],
        saves: Saves,
    ) -> None:
        """Close the one before, and open this; `closed` is called when it is closed."""
        global _present  # noqa: PLW0603 - there is one script
        close_present(None)
        _hear_of_errors()
        stack = ExitStack()
        stack.callback(closed)
        self.session = stack.enter_context(opened(subject, attempt, saves))
        stack.callback(_say_if_lost, route)
        self._route = route
        self._end = weakref.finalize(made, _close, stack, os.getpid())
        _present = weakref.WeakMethod(made._close)

    def close(self, error: BaseException | None) -> None:
        """The training is over, with this error or none."""
        if isinstance(error, Exception):
            self.session.tell_of(error)
        if error is not None:
            self._route.returning = None
        self._end()


def close_present(error: BaseException | None) -> None:
    """Close the one that is open, if there is one."""
    close = None if _present is None else _present()
    if close is not None:
        close(error)


def _close(stack: ExitStack, pid: int) -> None:
    if os.getpid() == pid:
        stack.close()


def _say_if_lost(route: Route) -> None:
    if route.returning is not None:
        say("the loop never came to the place at which it was paused: has the script changed?")


def _hear_of_errors() -> None:
    global _hears
    if _hears:
        return
    _hears, before = True, sys.excepthook

    def hear(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        close_present(error)
        before(kind, error, where)

    sys.excepthook = hear
