"""When a training makes checkpoints without a pause, and which of them stay."""

import time
from math import isnan, nan

from gpurun.protocol.quantity import parse_duration
from gpurun.sdk.checkpoint import BEST, KEEP, Keep


class Saves:
    """When a training saves, and what it keeps."""

    def __init__(
        self, every: int | str | None = None, keep: int = KEEP, best: str = "", mode: str = "min"
    ) -> None:
        """Save every so many steps, or each time that a duration like "10min" is over.

        Raise ValueError for what is neither, and for a mode that is not one of BEST.
        """
        if mode not in BEST:
            raise ValueError(f"mode is {mode!r}, and not one of {', '.join(BEST)}")
        if isinstance(every, int) and every < 1:
            raise ValueError(f"save_every is {every}; it takes a number of steps, or a duration")
        self.keep = Keep(keep, mode if best else "")
        self._best = best
        self._steps = every if isinstance(every, int) else 0
        self._seconds = parse_duration(every) if isinstance(every, str) else 0.0
        self.wanted = every is not None
        self._next = 0.0
        self.begin(0)

    def begin(self, step: int) -> None:
        """Count from here, at the start and after each checkpoint."""
        self._next = step + self._steps if self._steps else time.monotonic() + self._seconds

    def due(self, step: int) -> bool:
        """Whether it is time for one."""
        if not self.wanted:
            return False
        return (step if self._steps else time.monotonic()) >= self._next

    def metric(self, metrics: object) -> float | None:
        """That by which the best is known."""
        found = metrics.get(self._best) if isinstance(metrics, dict) else None
        try:
            metric = nan if found is None else float(found)
        except (TypeError, ValueError, RuntimeError):
            return None
        return None if isnan(metric) else metric  # nothing is better than NaN, nor worse
