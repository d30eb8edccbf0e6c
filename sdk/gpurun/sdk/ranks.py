"""All ranks of one training stop at the same turn, without a word between them in any step.

One of them has the link to the coordinator. When it is asked, it posts the request on the board;
every rank notes at its next turn that it has seen it, and whoever is the last to do so sets the
target: the turn behind the furthest. Nobody can have passed it, since from then on each looks at
the board, under its lock, at each turn. So ranks may be any number of turns apart, and a rank that
waits for others inside a step is never waited for.

Source of the failure that this is for: ranks that stop at different steps wait for each other in a
collective until its timeout, 30 minutes with NCCL.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from gpurun.sdk.board import Board
from gpurun.sdk.checkpoint import number_of, unfinished
from gpurun.sdk.errors import RanksError

HOWS = ("", "stand", "park", "exit", "save")
PATIENCE = 300.0
"""Seconds for which one rank waits for another to come, or to write its part."""
LOOK_MIN, LOOK_MAX = 0.001, 0.05
"""Seconds between two looks at the board of one that waits."""
_ENDED = -1
"""The pid of a rank whose training is over."""


def rank_and_world() -> tuple[int, int]:
    """This process's rank, and how many there are: of its process group, else as torchrun says."""
    dist = sys.modules.get("torch.distributed")
    if dist is not None and dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return 0, 1
    return (rank, world) if world > 1 else (0, 1)


class Ranks:
    """This rank among the others."""

    def __init__(self, folder: str, rank: int, world: int) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.rank = rank
        self.world = world
        self._folder = folder
        self._board = board = Board(f"{folder}/board", world)
        self._request = 0
        """What is carried out, or was carried out last."""
        with board.locked():
            if board.of(rank, "pid"):  # of ranks that were here before: torchrun has begun again
                board.wipe()
            board.tell(rank, "pid", os.getpid())
            if not board.get("speaker"):
                board.put("speaker", rank + 1)
        self.speaks = board.get("speaker") == rank + 1
        """Whether this one has the link."""

    @property
    def how(self) -> str:
        """How all step aside at the target."""
        return HOWS[self._board.get("how")]

    def posted(self) -> bool:
        """Whether a request is on the board."""
        return self._board.numbers[0] != 0

    def leave(self) -> None:
        """The training of this rank is over: nobody waits for it."""
        self._board.tell(self.rank, "pid", _ENDED)
        self._board.close()

    # --- before the target

    def stops_at(self, turn: int, request: int, how: str) -> bool:
        """Whether all stop here; the speaker says what it is asked, or 0 for nothing."""
        board = self._board
        with board.locked():
            if self.speaks and not board.get("target"):
                board.put("request", request)
                board.put("how", HOWS.index(how))
            now = board.get("request")
            board.tell(self.rank, "turn", turn)
            board.tell(self.rank, "seen", now)
            if now and not board.get("target") and all(seen == now for seen in self._all("seen")):
                board.put("target", 1 + max(self._all("turn")))
            return 0 < board.get("target") == turn

    # --- at the target

    def begin(self) -> None:
        """The speaker is there; raise RanksError where another does not come."""
        self._request = self._board.get("request")
        self._board.tell(self.rank, "arrived", self._request)
        self._await_all("arrived", "did not come to the turn at which all were to stop")
        self._board.put("number", 0)
        self._board.put("begun", self._request)

    def arrive(self) -> str:
        """Another is there; return how all step aside once the speaker has begun, or nothing."""
        self._request = self._board.get("request")
        self._board.tell(self.rank, "arrived", self._request)
        self._await(lambda: self._request in (self._board.get("begun"), self._board.get("over")))
        return HOWS[self._board.get("how")] if self._board.get("begun") == self._request else ""

    def end(self) -> None:
        """The speaker lets all go on."""
        with self._board.locked():
            self._board.put("over", self._board.get("request"))
            self._board.put("target", 0)
            self._board.put("request", 0)

    def await_end(self) -> None:
        """Wait until the speaker lets all go on, however long that is, or has gone."""
        self._await(self._is_over)

    def _is_over(self) -> bool:
        return self._board.get("over") == self._request

    # --- what all do there

    def released(self, kept: int) -> None:
        """This rank has given its memory back but for so many bytes."""
        self._board.tell(self.rank, "kept", kept)
        self._board.tell(self.rank, "done", self._request)

    def most_kept(self) -> int:
        """Bytes kept by the rank that keeps most; raise RanksError where one could not release."""
        self._await_all("done", "did not give its memory back")
        return max(self._all("kept"))

    def fill(self, folder: str, part: Callable[[str], None]) -> None:
        """The speaker writes its part into the folder, and waits for those of the others."""
        self._board.put("number", number_of(folder))
        part(folder)
        self._board.tell(self.rank, "saved", self._request)
        self._await_all("saved", "did not write its part of the checkpoint")

    def add(self, root: str, part: Callable[[str], None]) -> None:
        """Another writes its part, as soon as the speaker has made the folder."""
        self._await(lambda: self._board.get("number") != 0 or self._is_over())
        if not self._board.get("number"):
            raise RanksError("the checkpoint was given up")
        part(unfinished(root, self._board.get("number")))
        self._board.tell(self.rank, "saved", self._request)

    def fail(self, text: str) -> None:
        """This rank could not do what was asked."""
        with open(self._failure(self.rank), "w", encoding="utf-8") as file:
            file.write(text)
        for what in ("done", "saved"):
            self._board.tell(self.rank, what, -self._request)

    # --- waiting

    def _all(self, name: str) -> list[int]:
        return [self._board.of(rank, name) for rank in range(self.world)]

    def _await_all(self, name: str, otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        for rank in range(self.world):
            said = partial(self._board.of, rank, name)
            for _ in _looks():
                if said() == self._request:
                    break
                if said() == -self._request:
                    raise RanksError(f"rank {rank}: {self._why(rank)}")
                if not self._lives(rank) or time.monotonic() > deadline:
                    raise RanksError(f"rank {rank} {otherwise}")

    def _await(self, condition: Callable[[], bool]) -> None:
        speaker = self._board.get("speaker") - 1
        for _ in _looks():
            if condition() or not self._lives(speaker):
                return

    def _lives(self, rank: int) -> bool:
        pid = self._board.of(rank, "pid")
        if pid == _ENDED:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _failure(self, rank: int) -> str:
        return f"{self._folder}/failed-{rank}"

    def _why(self, rank: int) -> str:
        with open(self._failure(rank), encoding="utf-8") as file:
            return file.read()


def _looks() -> Iterator[None]:
    """Each time that it is worth looking again; what is waited for longer is looked at less."""
    pause = LOOK_MIN
    while True:
        yield
        time.sleep(pause)
        pause = min(LOOK_MAX, pause * 1.5)
