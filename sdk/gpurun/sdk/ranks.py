"""All ranks of one training stop at the same turn, without a word between them in any step.

One of them has the link to the coordinator. While it is asked for something, there is a round on
the board; every rank notes at its next turn that it has seen it, and whoever is the last to do so
sets the target: the turn behind the furthest. Nobody can have passed it, since from then on each
looks at the board, under its lock, at each turn. So ranks may be any number of turns apart, and a
rank that waits for others inside a step is never waited for. What all do at the target is what the
one with the link is asked for then; where that is nothing any more, they go on.

Each round has a number of its own: the coordinator may ask twice under one number, and what a rank
has said in the first round must not count in the second.

Source of the failure that this is for: ranks that stop at different steps wait for each other in a
collective until its timeout, 30 minutes with NCCL.
"""

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from gpurun.sdk.board import GIVEN_UP, Board
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


def life(attempt: int) -> int:
    """A number for each start of the ranks: in an attempt torchrun may start them again."""
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "")
    return (attempt << 32) + (int(restarts) if restarts.isdecimal() else 0)


class Ranks:
    """This rank among the others."""

    def __init__(self, folder: str, rank: int, world: int, life: int) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.rank = rank
        self.world = world
        self._folder = folder
        self._board = board = Board(f"{folder}/board", world)
        self._next = 0
        """The round for which it has stopped last."""
        self._round = 0
        """That which is carried out, or was carried out last: a save may take longer than it."""
        self._rounds = 0
        """Those that this one has put on the board."""
        with board.locked():
            if board.get("life") != life or board.of(rank, "pid"):  # of ranks that were before
                board.wipe()
                board.put("life", life)
            board.tell(rank, "pid", os.getpid())
            if not board.get("speaker"):
                board.put("speaker", rank + 1)
        self.speaks = board.get("speaker") == rank + 1
        """Whether this one has the link."""

    def posted(self) -> bool:
        """Whether a round is on the board."""
        return self._board.numbers[0] != 0

    def leave(self) -> None:
        """The training of this rank is over: nobody waits for it."""
        self._board.tell(self.rank, "pid", _ENDED)
        self._board.close()

    # --- before the target

    def stops_at(self, turn: int, *, asked: bool = False) -> bool:
        """Whether all stop here; `asked` is whether there is something to stop for, if it speaks.

        Turns may be left out, if all ranks leave out the same.
        """
        board = self._board
        with board.locked():
            if self.speaks and not board.get("target"):
                self._post(asked=asked)
            now = board.get("round")
            board.tell(self.rank, "turn", turn)
            board.tell(self.rank, "seen", now)
            if now and not board.get("target") and all(seen == now for seen in self._all("seen")):
                board.put("target", 1 + max(self._all("turn")))
            self._next = now
            return 0 < board.get("target") <= turn

    def _post(self, *, asked: bool) -> None:
        if asked == self.posted():
            return
        self._rounds += asked
        self._board.put("round", self._rounds if asked else 0)

    # --- at the target

    def begin(self, how: str) -> None:
        """The speaker is there; raise RanksError where another does not come."""
        self._round = self._next
        self._board.tell(self.rank, "arrived", self._round)
        self._await_all("arrived", "did not come to the turn at which all were to stop")
        with self._board.locked():
            self._board.put("number", 0)
            self._board.put("how", HOWS.index(how))
            self._board.put("begun", self._round)

    def arrive(self) -> str:
        """Another is there; return how all step aside once the speaker has begun, or nothing."""
        self._round = self._next
        self._board.tell(self.rank, "arrived", self._round)
        self._await(lambda: self._has_begun() or self._is_over())
        return HOWS[self._board.get("how")] if self._has_begun() and not self._is_over() else ""

    def end(self, *, writes: bool) -> None:
        """The speaker lets all go on; whether it still writes a checkpoint."""
        with self._board.locked():
            if not writes:
                self._give_up()
            self._board.put("over", self._board.get("round"))
            self._board.put("target", 0)
            self._board.put("round", 0)

    def await_end(self) -> None:
        """Wait until the speaker lets all go on, however long that is, or has gone."""
        self._await(self._is_over)

    def _has_begun(self) -> bool:
        return self._board.get("begun") == self._round

    def _is_over(self) -> bool:
        return self._board.get("over") == self._round

    # --- what all do there

    def released(self, kept: int) -> None:
        """This rank has given its memory back but for so many bytes."""
        with self._board.locked():
            self._board.tell(self.rank, "kept", kept)
            self._board.tell(self.rank, "done", self._round)

    def most_kept(self) -> int:
        """Bytes kept by the rank that keeps most; raise RanksError where one could not release."""
        self._await_all("done", "did not give its memory back")
        return max(self._all("kept"))

    def fill(self, folder: str, part: Callable[[str], None]) -> None:
        """The speaker writes its part into the folder, and waits for those of the others."""
        self._board.put("number", number_of(folder))
        part(folder)
        self._board.tell(self.rank, "saved", self._round)
        self._await_all("saved", "did not write its part of the checkpoint")

    def add(self, root: str, part: Callable[[str], None]) -> bool:
        """Another writes its part, as soon as the speaker has made the folder.

        False where the speaker makes none: it is the one to say why.
        """
        self._await(lambda: self._board.get("number") != 0)
        number = self._board.get("number")
        if number in (0, GIVEN_UP):
            return False
        speaker = self._board.get("speaker") - 1
        part(unfinished(root, number, self._board.of(speaker, "pid")))
        self._board.tell(self.rank, "saved", self._round)
        return True

    def give_up(self) -> None:
        """The speaker makes no checkpoint, so that nobody waits for its folder."""
        with self._board.locked():
            self._give_up()

    def _give_up(self) -> None:
        if not self._board.get("number"):
            self._board.put("number", GIVEN_UP)

    def fail(self, text: str, *what: str) -> None:
        """This rank could not do what was asked: "done", "saved" or both."""
        with suppress(OSError), open(self._failure(self.rank), "w", encoding="utf-8") as file:
            file.write(text)  # the reason may be that the disk is full
        for name in what:
            self._board.tell(self.rank, name, -self._round)

    # --- waiting

    def _all(self, name: str) -> list[int]:
        return [self._board.of(rank, name) for rank in range(self.world)]

    def _await_all(self, name: str, otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        for rank in range(self.world):
            said = partial(self._read, rank, name)
            for _ in _looks():
                if (found := said()) == self._round:
                    break
                if found == -self._round:
                    raise RanksError(f"rank {rank}: {self._why(rank)}")
                if time.monotonic() > deadline or (not self._lives(rank) and said() == found):
                    raise RanksError(f"rank {rank} {otherwise}")

    def _read(self, rank: int, name: str) -> int:
        """Under the lock, so that what was written before it is seen too, on every processor."""
        with self._board.locked():
            return self._board.of(rank, name)

    def _await(self, condition: Callable[[], bool]) -> None:
        speaker = self._board.get("speaker") - 1
        for _ in _looks():
            with self._board.locked():
                if condition():
                    return
            if not self._lives(speaker):
                return

    def _lives(self, rank: int) -> bool:
        pid = self._board.of(rank, "pid")
        return pid != _ENDED and is_alive(pid)

    def _failure(self, rank: int) -> str:
        return f"{self._folder}/failed-{rank}"

    def _why(self, rank: int) -> str:
        try:
            with open(self._failure(rank), encoding="utf-8") as file:
                return file.read() or "it could not say why"
        except OSError:
            return "it could not say why"


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for does not."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except OSError:  # no descriptor is left: it may well run
        return True
    try:
        ended = select.poll()
        ended.register(process, select.POLLIN)
        return not ended.poll(0)
    finally:
        os.close(process)


def _looks() -> Iterator[None]:
    """Each time that it is worth looking again; what is waited for longer is looked at less."""
    pause = LOOK_MIN
    while True:
        yield
        time.sleep(pause)
        pause = min(LOOK_MAX, pause * 1.5)
