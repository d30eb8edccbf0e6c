"""Ranks agree in every order in which they may come to the board: thousands of them, by seeds."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.sdk.interleaving import Interleaving, SharedBoard

from gpurun.sdk import ranks
from gpurun.sdk.board import OWN, SHARED
from gpurun.sdk.errors import RanksError
from gpurun.sdk.ranks import Ranks

TURNS = 16
STRIDE = 2
"""Every so many turns there is a safe point, where gradients are accumulated."""
RUNS = 220
LIMIT = 60_000
"""Switches after which a run is stuck; a rank's patience is shorter."""


class Distributed:
    """Ranks that cannot be more than one step apart, for each step sums something over all."""

    def __init__(self, seed: int, folder: Path, patch: pytest.MonkeyPatch, *, dying: bool) -> None:
        self.between = between = Interleaving(seed, LIMIT)
        self.random = between.random
        self.world = self.random.choice((2, 2, 3, 4))
        self.stride = self.random.choice((1, 1, STRIDE))
        self.loose = self.random.random() < 0.3
        """Whether nothing is summed, so that ranks may be far apart."""
        self.asked = ""
        """What the coordinator wants at this instant."""
        self.at = [0] * self.world
        self.ended: set[int] = set()
        if dying:
            between.dies = self.random.randrange(self.world), self.random.randrange(1500)
        self.stopped: list[list[tuple[int, str]]] = [[] for _ in range(self.world)]
        """For each rank the turns at which it has stepped aside, and in which way."""
        self.written: list[tuple[int, str]] = []
        """By which rank, and into which folder."""
        numbers, holder = [0] * (len(SHARED) + self.world * len(OWN)), []  # type: ignore[var-annotated]
        clock = SimpleNamespace(monotonic=lambda: between.now, sleep=lambda _: between.switch())
        patch.setattr(ranks, "time", clock)
        patch.setattr(ranks, "PATIENCE", LIMIT / 10)
        patch.setattr(ranks, "is_alive", lambda pid: not between.is_dead(pid - 1))
        patch.setattr(ranks, "Board", lambda *_: SharedBoard(between, numbers, holder))
        self._folder = str(folder)
        self._holder = holder

    def run(self) -> None:
        """All of them to their end."""
        self.between.run([lambda n=n: self._rank(n) for n in range(self.world)] + [self._ask])
        assert not self._holder

    def _ask(self) -> None:
        """Ask, withdraw, and ask for something else, at any moment."""
        while not all(n in self.ended or self.between.is_dead(n) for n in range(self.world)):
            for _ in range(self.random.randrange(self.random.choice((5, 50, 400)))):
                self.between.switch()
            self.asked = self.random.choice(("", "stand", "park", "exit"))
            self.between.switch()
        self.asked = ""

    def _rank(self, rank: int) -> None:
        me = Ranks(self._folder, rank, self.world, 1)
        me._board.tell(rank, "pid", rank + 1)  # all of them are threads of one process
        for turn in range(0, TURNS, self.stride):
            self._sum(turn)
            self.at[rank] = turn
            asked = bool(me.speaks and self.asked)
            if (asked or me.posted()) and me.stops_at(turn, asked=asked):
                (self._lead if me.speaks else self._follow)(me, turn)
        self.at[rank] = 2 * TURNS
        me.leave()
        self.ended.add(rank)

    def _sum(self, turn: int) -> None:
        while not self.loose and any(
            at < turn - self.stride and not self.between.is_dead(rank)  # the others find out
            for rank, at in enumerate(self.at)
        ):
            self.between.switch()

    def _lead(self, me: Ranks, turn: int) -> None:
        how = self.asked if self.random.random() < 0.6 else ""  # else just withdrawn
        try:
            if how:
                me.begin(how)
                self.stopped[me.rank].append((turn, how))
                if how == "park":
                    me.released(0)
                    me.most_kept()
                if how == "exit":
                    me.fill("unfinished-7-1", self._write(me.rank))
                while self.asked == how and self.random.random() < 0.9:
                    self.between.switch()
        except RanksError:
            assert self.between.dies is not None, "nobody has died"
        finally:
            me.end(writes=False)

    def _follow(self, me: Ranks, turn: int) -> None:
        while self.random.random() < 0.95:  # it waits for a checkpoint to be written
            self.between.switch()
        if how := me.arrive():
            self.stopped[me.rank].append((turn, how))
            if how == "park":
                me.released(0)
            if how == "exit":
                me.add("", self._write(me.rank))
            me.await_end()

    def _write(self, rank: int) -> Callable[[str], None]:
        return lambda folder: self.written.append((rank, folder))


def test_all_stop_at_one_turn_in_one_way_or_none_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked, withdrawn and asked again; and all come to their end."""
    stops = 0
    for seed in range(RUNS):
        training = Distributed(seed, tmp_path, monkeypatch, dying=False)
        training.run()
        leaders = max(training.stopped, key=len)
        for stopped in training.stopped:  # who is late for a stand may find it over
            assert set(stopped) <= set(leaders), seed
            assert no_stands(stopped) == no_stands(leaders), seed
        exits = sum(how == "exit" for _, how in leaders)
        assert len(training.written) == exits * training.world, seed
        stops += len(leaders)
    assert stops > RUNS / 5, "too few to prove anything"


def test_nobody_waits_for_ever_where_one_dies_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever stops does it where all do."""
    for seed in range(RUNS):
        training = Distributed(seed, tmp_path, monkeypatch, dying=True)
        training.run()
        turns = [dict(stopped) for stopped in training.stopped]
        for turn in range(TURNS):
            hows = {at[turn] for at in turns if turn in at}
            assert len(hows) <= 1, seed


def no_stands(stopped: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The other stops."""
    return [stop for stop in stopped if stop[1] != "stand"]
