"""Writes checkpoints from copies, while the training waits or has gone on already."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Saver:
    """One thread at most: a checkpoint is begun when the one before it has ended."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(
        self,
        write: Callable[[], T],
        done: Callable[[T, float], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Write, and call `done` with what was written and the seconds that it took."""
        self.wait()
        self._thread = threading.Thread(
            target=_save, args=(write, done, failed), name="gpurun saver"
        )
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Return when nothing is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _save(
    write: Callable[[], T],
    done: Callable[[T, float], None],
    failed: Callable[[Exception], None],
) -> None:
    began = time.monotonic()
    try:
        written = write()
    except Exception as error:  # noqa: BLE001 - the training is whole in host memory
        failed(error)
    else:
        done(written, time.monotonic() - began)
