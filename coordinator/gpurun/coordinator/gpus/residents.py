"""The processes on real devices: each is read in /proc once, and known until its end is seen.

A pid is used again; who holds a pidfd sees the end of the one that it was opened for, without a
race and without reading /proc in each round.
"""

import os
import select
from collections.abc import Sequence

import msgspec

from gpurun.coordinator.core.sample import OwnProcess, ProcessSample
from gpurun.coordinator.processes import Table, command_of, user_of


class _Resident(msgspec.Struct):
    """What does not change of a process while it lives, and whose it is."""

    pidfd: int
    """-1 where it is not to be seen: its end is that the driver does not name it any more."""
    start_time: int
    user: str | None
    command: str | None
    job: int | None


class Residents:
    """Who the pids are that the driver names. One thread uses it."""

    def __init__(self) -> None:
        self._known: dict[int, _Resident] = {}
        self._pids: dict[int, int] = {}
        self._ended: dict[int, int | None] = {}
        """Whose those were that the driver named in every round since their end."""
        self._epoll = select.epoll()
        self._own: tuple[OwnProcess, ...] = ()
        self._jobs: frozenset[int] = frozenset()
        self._table: Table | None = None
        self._seen: set[int] = set()

    def begin(self, own: Sequence[OwnProcess]) -> None:
        """Begin a round: forget who has ended, or was not named in the round before."""
        self._ended = {pid: job for pid, job in self._ended.items() if pid in self._seen}
        for pidfd, _ in self._epoll.poll(0):
            pid = self._pids[pidfd]
            self._ended[pid] = self._known[pid].job
            self._forget(pid)
        for pid in self._known.keys() - self._seen:
            self._forget(pid)
        self._seen = set()
        self._table = None
        if self._own != tuple(own):
            self._own, self._jobs = tuple(own), frozenset(root.job for root in own)
            for pid, resident in self._known.items():
                resident.job = self._job_of(pid, resident.job)

    def sample(
        self, pid: int, *, memory: int | None, utilization: float | None, compute: bool
    ) -> ProcessSample:
        """Describe one process on a device; what /proc does not tell stays unknown."""
        self._seen.add(pid)
        found = self._known.get(pid) or self._meet(pid)
        return ProcessSample(
            pid=pid,
            start_time=found.start_time,
            user=found.user,
            command=found.command,
            memory=memory,
            utilization=utilization,
            job=found.job,
            compute=compute,
        )

    def close(self) -> None:
        """Forget everybody."""
        for pid in list(self._known):
            self._forget(pid)

    @property
    def _tree(self) -> Table:
        """One look at /proc, made in a round in which somebody is new."""
        self._table = self._table or Table(self._own)
        return self._table

    def _job_of(self, pid: int, before: int | None) -> int | None:
        """Whose it is: once a job's, for as long as that job is known.

        Of a tree whose top and launcher are gone nothing in /proc tells whose it was.
        """
        return before if before in self._jobs else self._tree.owner(pid)

    def _meet(self, pid: int) -> _Resident:
        pidfd = _open(pid)  # before /proc is read: should the pid be used again, its end is seen
        stat = self._tree.stat(pid)
        before = self._ended.get(pid) if stat is None else None
        resident = _Resident(
            pidfd=pidfd,
            start_time=stat.start_time if stat else 0,
            user=user_of(pid),
            command=command_of(pid),
            job=self._job_of(pid, before),
        )
        self._known[pid] = resident
        if pidfd >= 0:
            self._epoll.register(pidfd, select.EPOLLIN)
            self._pids[pidfd] = pid
        return resident

    def _forget(self, pid: int) -> None:
        pidfd = self._known.pop(pid).pidfd
        if pidfd >= 0:
            del self._pids[pidfd]
            self._epoll.unregister(pidfd)
            os.close(pidfd)


def _open(pid: int) -> int:
    """Give a pidfd, or -1: the process is gone, or lives in another pid namespace."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1
