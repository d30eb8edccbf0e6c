"""Numbers that the ranks of one training share, in memory: read at each turn, changed under a lock.

round               of asking all to stop, by its number; 0 where nothing is asked
target              the turn from which on all stop for it; 0 while that is not agreed
begun, how, over    the last round that is being carried out, in which way, and that is over
number              of the checkpoint that is being written, or GIVEN_UP
speaker             1 + the rank that has the link to the coordinator
life                which start of these ranks it is
and for each rank   seen, turn, arrived, done, saved, kept, pid
"""

import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SHARED = ("round", "target", "begun", "how", "over", "number", "speaker", "life")
OWN = ("seen", "turn", "arrived", "done", "saved", "kept", "pid")
SIZE = 8
"""Bytes of a number: read and written in one piece, as aligned words are."""
GIVEN_UP = -1
"""In place of the number of a checkpoint: there will be none."""


class Board:
    """One file that every rank maps; a number that nobody has written is 0."""

    def __init__(self, path: str, world: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        length = SIZE * (len(SHARED) + world * len(OWN))
        os.ftruncate(self._file, length)
        self._memory = mmap.mmap(self._file, length)
        self.numbers = memoryview(self._memory).cast("q")
        self._mine = threading.Lock()
        """The lock of the file tells processes apart, and not the threads of one."""

    def get(self, name: str) -> int:
        """A shared number."""
        return self.numbers[SHARED.index(name)]

    def put(self, name: str, value: int) -> None:
        """Change a shared number."""
        self.numbers[SHARED.index(name)] = value

    def of(self, rank: int, name: str) -> int:
        """A number of one rank."""
        return self.numbers[_index(rank, name)]

    def tell(self, rank: int, name: str, value: int) -> None:
        """Change a number of one rank."""
        self.numbers[_index(rank, name)] = value

    def wipe(self) -> None:
        """Nobody has written anything."""
        for index in range(len(self.numbers)):
            self.numbers[index] = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other rank change what is agreed meanwhile."""
        with self._mine:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file; who still looks sees zeros."""
        length = self.numbers.nbytes
        self.numbers.release()
        self.numbers = memoryview(bytearray(length)).cast("q")
        self._memory.close()
        os.close(self._file)


def _index(rank: int, name: str) -> int:
    return len(SHARED) + rank * len(OWN) + OWN.index(name)
