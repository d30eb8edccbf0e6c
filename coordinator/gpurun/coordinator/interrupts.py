"""SIGTERM and SIGINT as a descriptor, so that the loop has one place to wait."""

import os
import signal


class Signals:
    """SIGTERM and SIGINT as a descriptor."""

    def __init__(self) -> None:
        self._read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        """Give the descriptor that is readable once a signal has come."""
        return self._read
