"""How far the training is, for `gpurun status`: said by the thread of the link, now and then.

The training only stores what it has come to; it wakes the thread once, when the thread has gone to
sleep for lack of anything new. So a training that does not move costs nothing, and one that does
costs a few stores a step.
"""

import os
import time
from numbers import Integral
from typing import Any

from gpurun.protocol.messages import PROGRESS_TEXT
from gpurun.sdk.metrics import as_text

EVERY = 2.0
"""Seconds from one word to the next, at least."""
_LARGEST = 2**63 - 1
"""A step beyond it is no number that a message can hold."""


class Progress:
    """What the training has come to, and what of it has been said."""

    def __init__(self, wake: int, begun: int) -> None:
        """Poll `wake`, an eventfd, in the thread; `begun` is the step where this attempt began."""
        self._wake, self._pid = wake, os.getpid()
        self._begun = self._said = self.step = begun
        """Steps that are done."""
        self._total = 0
        self._metrics: object = None
        self.asleep = True
        """Whether the thread looks again only when it is woken."""
        self._due = 0.0
        """The instant (monotonic seconds) from which on the thread may say something."""

    # --- in the training

    def tell(self, step: int, total: int, metrics: object) -> None:
        """So many steps are done, of so many (0 where that is not known), with these metrics.

        Called at every step: whatever is wrong with the values shows when they are said.
        """
        self.step = step
        self._total = total
        self._metrics = metrics
        if self.asleep:
            self.rouse()

    def concerns(self, total: int, metrics: object) -> None:
        """So many steps there will be, with these metrics, which may change meanwhile."""
        self._total = total
        self._metrics = metrics

    def rouse(self) -> None:
        """Wake the thread: it has gone to sleep, and there is something new."""
        self.asleep = False
        if os.getpid() == self._pid:
            os.eventfd_write(self._wake, 1)

    # --- in the thread

    def due(self) -> float | None:
        """The instant (monotonic seconds) at which to look; None to sleep until woken."""
        return None if self.asleep else self._due

    def news(self, *, last: bool = False) -> dict[str, Any] | None:
        """What there is to say now, as fields of the message; `last` comes too soon as well.

        None where it is too soon, or nothing has moved since: then the thread may sleep.
        """
        now = time.monotonic()
        if now < self._due and not last:
            return None
        if self.step == self._said:
            self.asleep = True
            if self.step == self._said:
                return None
            self.asleep = False  # it has moved meanwhile, and may have taken the thread for awake
        self._said, self._due = self.step, now + EVERY
        return {
            "step": _count(self._said),
            "total": _count(self._total),
            "text": as_text(self._metrics)[:PROGRESS_TEXT],
        }

    def forget(self) -> None:
        """Say it all anew: whoever listens now has heard nothing yet."""
        self._said, self._due, self.asleep = self._begun, 0.0, False

    def close(self) -> None:
        """Wake nobody any more."""
        self._pid = 0


def _count(value: object) -> int:
    return min(max(int(value), 0), _LARGEST) if isinstance(value, Integral) else 0
