"""Who has ended: pidfds in one epoll, so that thousands cost the loop one descriptor."""

import contextlib
import os
import select

import msgspec

from gpurun.coordinator import processes
from gpurun.coordinator.core.job import Process


class Watched(msgspec.Struct, frozen=True):
    """What a process is to a job."""

    job: int
    process: Process
    launcher: bool


class Watch:
    """Tells once, at once, and without a race that a process has ended."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        self._known: set[Watched] = set()
        self._gone: list[Watched] = []

    def fileno(self) -> int:
        """Give the descriptor that is readable when a watched process has ended."""
        return self._epoll.fileno()

    def add(self, watched: Watched) -> None:
        """Watch a process; one that is gone already is told with the next `ended`."""
        if watched in self._known:
            return
        pidfd = _open(watched.process)
        if pidfd is None:
            self._gone.append(watched)
            return
        self._watched[pidfd] = watched
        self._known.add(watched)
        self._epoll.register(pidfd, select.EPOLLIN)

    @property
    def pending(self) -> bool:
        """Whether `ended` has something to tell that no descriptor shows."""
        return bool(self._gone)

    def ended(self) -> list[Watched]:
        """Processes that have ended since the last call."""
        gone, self._gone = self._gone, []
        for pidfd, _ in self._epoll.poll(0):
            self._epoll.unregister(pidfd)
            os.close(pidfd)
            watched = self._watched.pop(pidfd)
            self._known.remove(watched)
            gone.append(watched)
        return gone

    def close(self) -> None:
        """Close every descriptor."""
        for pidfd in self._watched:
            with contextlib.suppress(OSError):
                os.close(pidfd)
        self._epoll.close()


def _open(process: Process) -> int | None:
    """A pidfd of that very process; None where it is gone.

    The pid is the word of a client: only one that is there is asked for. It may have been used
    again before the pidfd was opened; not after.
    """
    if not processes.alive(process.pid, process.start_time):
        return None
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if processes.alive(process.pid, process.start_time):
        return pidfd
    os.close(pidfd)
    return None
