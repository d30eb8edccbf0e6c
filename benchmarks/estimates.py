"""How far estimates are from what runs took, and how often they are too low.

    python benchmarks/estimates.py

The table (benchmarks/data/host_memory.csv, made by benchmarks/traces.py) holds real PyTorch
trainings on the CPU: host memory, since no GPU was at hand. Every run is estimated from others by
the code that the coordinator runs. `error` is that of the expected figure, |expected - taken| /
taken; `too low` the share of runs that took more than would have been reserved for them; `over` how
much more than it took would have been reserved.

Published marks, of other methods on other machines, for the error alone: 14-16 % (DNNMem, by
analysis of the graph), 1.6-3 % (LLMem, for fine-tuning of language models), about 4 % (xMem, by
profiling on the CPU).
"""

import csv
import os
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from gpurun.coordinator.core.estimator.estimate import Asked, estimate
from gpurun.coordinator.core.estimator.guess import Guess
from gpurun.coordinator.core.estimator.profile import Profile
from gpurun.coordinator.core.estimator.seen import Seen
from gpurun.protocol.job import ProgramId

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "host_memory.csv")
MODEL = "host"
DRAWS = 5
"""Choices of known combinations for each run whose own is unknown."""


class Row(msgspec.Struct, frozen=True):
    """One measured run."""

    program: str
    arguments: str
    version: int
    peak: int
    early: int


Case = tuple[Row, list[Profile]]
"""A run, and those from which it is to be estimated."""


def read_table(path: str = TABLE) -> list[Row]:
    """All measured runs."""
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Row(
                row["program"],
                row["arguments"],
                int(row["version"]),
                int(row["peak"]),
                int(row["early"]),
            )
            for row in csv.DictReader(file)
        ]


def learned(rows: Sequence[Row], earlier: int) -> Iterator[Case]:
    """Each run from so many others of the same program and arguments."""
    for same in _by(rows, lambda row: (row.program, row.arguments, row.version)).values():
        for at, row in enumerate(same):
            others = same[:at] + same[at + 1 :]
            if len(others) >= earlier:
                yield row, [_profile(other) for other in others[:earlier]]


def changed(rows: Sequence[Row]) -> Iterator[Case]:
    """Each run of the edited script from those before the edit."""
    for both in _by(rows, lambda row: (row.program, row.arguments)).values():
        before = [_profile(row) for row in both if row.version == 1]
        yield from ((row, before) for row in both if row.version == 2)


def siblings(rows: Sequence[Row]) -> Iterator[Case]:
    """Each run from another that has done a third of its steps."""
    for same in _by(rows, lambda row: (row.program, row.arguments, row.version)).values():
        if len(same) > 1:
            yield same[0], [_profile(same[1], under_way=True)]


def carried(rows: Sequence[Row], combinations: int) -> Iterator[Case]:
    """Each run from so many other combinations of its numbers, drawn at random."""
    draw = random.Random(combinations)  # noqa: S311 - a sample
    first = [row for row in rows if row.version == 1]
    for runs in _by(first, lambda row: row.program).values():
        each = _by(runs, lambda row: row.arguments)
        for own, same in each.items():
            for _ in range(DRAWS):
                drawn = draw.sample([name for name in each if name != own], combinations)
                yield same[0], [_profile(row) for name in drawn for row in each[name]]


class Figures(msgspec.Struct, frozen=True):
    """How good the estimates of some runs are; all but the counts are shares."""

    runs: int
    unknown: int
    """How many there was no estimate for."""
    error: float
    """Median."""
    error_90: float
    """90th percentile."""
    too_low: float
    over: float
    """Median."""

    def __str__(self) -> str:
        shares = (self.error, self.error_90, self.too_low, self.over)
        return f"{self.runs:6}{''.join(f'{100 * share:10.1f}' for share in shares)}{self.unknown:9}"


def judge(cases: Iterable[Case]) -> Figures:
    """Estimate each run from the others of its case."""
    pairs = [(row.peak, _guess(row, runs)) for row, runs in cases]
    known = [(peak, guess) for peak, guess in pairs if guess is not None]
    errors = [abs(guess.low - peak) / peak for peak, guess in known]
    return Figures(
        runs=len(known),
        unknown=len(pairs) - len(known),
        error=statistics.median(errors),
        error_90=statistics.quantiles(errors, n=10, method="inclusive")[-1],
        too_low=statistics.mean(guess.high < peak for peak, guess in known),
        over=statistics.median(guess.high / peak - 1 for peak, guess in known),
    )


def _guess(row: Row, runs: Sequence[Profile]) -> Guess | None:
    asked = Asked(program=_program(row), gpus=1, models=frozenset({MODEL}))
    return estimate(asked, runs).memory


def _program(row: Row) -> ProgramId:
    return ProgramId(
        path=f"/{row.program}.py",
        arguments=tuple(row.arguments.split()),
        interpreter="/python",
        digest=str(row.version),
    )


def _profile(row: Row, *, under_way: bool = False) -> Profile:
    peak = row.early if under_way else row.peak
    return Profile(
        job=0,
        uid=0,
        program=_program(row),
        gpus=1,
        seen=Seen(model=MODEL, looks=9, memory=peak),
        ran=0.0,
        complete=not under_way,
        settled=under_way,
    )


def _by(rows: Iterable[Row], key: Callable[[Row], object]) -> Mapping[object, list[Row]]:
    groups: defaultdict[object, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def main() -> None:
    """Print the table."""
    rows = read_table()
    print(f"{len(rows)} runs of {len({row.program for row in rows})} programs\n")
    columns = ("error", "p90", "too low", "over")
    head = "".join(f"{name:>10}" for name in columns)
    print(f"{'from':<44}{'runs':>6}{head}{'unknown':>9}   (%)")
    for name, cases in (
        ("learned: 1 run", learned(rows, 1)),
        ("learned: 2 runs", learned(rows, 2)),
        ("inferred: before the script was edited", changed(rows)),
        ("inferred: a sibling under way", siblings(rows)),
        *((f"inferred: {n} other combinations", carried(rows, n)) for n in (1, 2, 3, 4, 6, 8)),
    ):
        print(f"{name:<44}{judge(cases)}")


if __name__ == "__main__":
    main()
