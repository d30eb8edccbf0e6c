"""The clock of leases and deadlines."""

import time


def now() -> float:
    """Seconds on CLOCK_BOOTTIME, which runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
