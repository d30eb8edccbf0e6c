"""The two clocks, read in one place."""

import datetime
import time

from gpurun.coordinator.core.events import Instant


def now() -> Instant:
    """The present moment."""
    return Instant(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def iso(wall: float) -> str:
    """Seconds since the epoch as UTC ISO 8601."""
    moment = datetime.datetime.fromtimestamp(wall, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
