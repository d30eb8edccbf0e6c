"""Threads of which one runs at a time, and the seed decides which: the same seed, the same run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from gpurun.sdk.board import OWN, SHARED


class StuckError(BaseException):
    """Nobody comes to an end any more."""


class DiedError(BaseException):
    """An actor is killed here."""


class Interleaving:
    """Runs actors, each until it asks to be switched; time is counted in switches."""

    def __init__(self, seed: int, limit: int) -> None:
        self.random = Random(seed)  # noqa: S311 - to be repeated
        self.now = 0
        self.error: BaseException | None = None
        self.dies: tuple[int, int] | None = None
        """Which actor does, and after how many switches, if any."""
        self._limit = limit
        self._gates: dict[int, threading.Lock] = {}
        self._over = threading.Event()

    def run(self, actors: list[Callable[[], None]]) -> None:
        """Until all have ended; raise what one of them raised, or StuckError."""
        threads = [threading.Thread(target=self._act, args=(n, a)) for n, a in enumerate(actors)]
        for number, thread in enumerate(threads):
            self._gates[number] = threading.Lock()
            self._gates[number].acquire()
            thread.start()
        self._hand_over()
        assert self._over.wait(20)
        for thread in threads:
            thread.join()
        if self.error is not None:
            raise self.error

    def switch(self) -> None:
        """Let another run, or the same."""
        self.now += 1
        if self.error is None and self.now > self._limit:
            self.error = StuckError(f"nobody has ended after {self._limit} switches")
        if self.error is not None:
            raise StuckError
        mine = self._current
        if self._choose() != mine:
            self._gates[self._current].release()
            self._gates[mine].acquire()
        if self.error is not None:
            raise StuckError
        if self.is_dead(mine):
            raise DiedError

    def is_dead(self, actor: int) -> bool:
        """Whether it has been killed."""
        return self.dies is not None and self.dies[0] == actor and self.now >= self.dies[1]

    def _act(self, number: int, actor: Callable[[], None]) -> None:
        self._gates[number].acquire()
        try:
            actor()
        except (StuckError, DiedError):
            pass
        except BaseException as error:  # noqa: BLE001 - raised by run
            self.error = self.error or error
        del self._gates[number]
        self._hand_over()

    def _choose(self) -> int:
        self._current = self.random.choice(list(self._gates))
        return self._current

    def _hand_over(self) -> None:
        if self._gates:
            self._gates[self._choose()].release()
        else:
            self._over.set()


class SharedBoard:
    """A Board of one process, at whose every number another actor may come to run."""

    def __init__(self, between: Interleaving, numbers: list[int], holder: list[object]) -> None:
        self._between = between
        self._numbers = numbers
        self._holder = holder
        """Who has the lock, if anybody."""

    @property
    def numbers(self) -> list[int]:
        self._between.switch()
        return self._numbers

    def get(self, name: str) -> int:
        return self.numbers[SHARED.index(name)]

    def put(self, name: str, value: int) -> None:
        self.numbers[SHARED.index(name)] = value

    def of(self, rank: int, name: str) -> int:
        return self.numbers[len(SHARED) + rank * len(OWN) + OWN.index(name)]

    def tell(self, rank: int, name: str, value: int) -> None:
        self.numbers[len(SHARED) + rank * len(OWN) + OWN.index(name)] = value

    def wipe(self) -> None:
        self._numbers[:] = [0] * len(self._numbers)

    @contextmanager
    def locked(self) -> Iterator[None]:
        while self._holder:
            self._between.switch()
        self._holder.append(self)
        try:
            yield
        finally:
            self._holder.clear()

    def close(self) -> None:
        """Nothing to let go of."""
