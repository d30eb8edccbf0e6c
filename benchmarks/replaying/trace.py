"""The jobs to replay: the trainings of a trace, and light tasks mixed in between them."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.replaying.rates import BadDataError, Rates

COLUMNS = 7
LONGEST_SHARE = 0.01
"""Of the trainings, the longest are clipped to the shortest of them: a few of four months each
would otherwise be all that the figures show."""
LIGHT_KINDS = (
    "A3C",
    "LM (batch size 5)",
    "Recommendation (batch size 512)",
    "ResNet-18 (batch size 16)",
)
"""What light tasks are like on a device: small types, so that their pairs are measured too."""
LIGHT_MEAN, LIGHT_LEAST, LIGHT_MOST = 120.0, 5.0, 900.0
"""Seconds that a light task takes: exponential, clipped."""


@dataclass(frozen=True, slots=True)
class Work:
    """One job as it comes."""

    number: int
    kind: str
    arrival: float
    seconds: float
    """What it takes with its devices to itself."""
    gpus: int = 1
    light: bool = False
    step: float = 0.0
    """Seconds from one step boundary to the next."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows that are not replayed, by the reason."""

    unmeasured: int
    """Their speed alone was not measured for so many devices."""
    too_wide: int
    """They want more devices than there are."""


def read_trace(path: str, rates: Rates, devices: int) -> tuple[list[Work], Skipped]:
    """The trainings of a file in the order of their arrivals; raise BadDataError for a bad line."""
    try:
        with open(path, encoding="utf-8") as file:
            rows = [_row(path, number, line) for number, line in enumerate(file, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise BadDataError(f"{path}: {error}") from None
    works, unmeasured, too_wide = [], 0, 0
    for kind, steps, arrival, gpus in sorted(rows, key=lambda row: row[2]):
        rate = rates.alone(kind, gpus)
        if gpus > devices:
            too_wide += 1
        elif not rate:
            unmeasured += 1
        else:
            works.append(Work(len(works), kind, arrival, steps / rate, gpus, step=1 / rate))
    if not works:
        raise BadDataError(f"{path}: none of its {len(rows)} jobs can be replayed")
    return works, Skipped(unmeasured, too_wide)


def workload(
    trainings: Sequence[Work], *, jobs: int, light: float, load: float, devices: int, seed: int
) -> list[Work]:
    """So many jobs, `light` light tasks for each training, in the order of their arrivals.

    The trace is repeated as often as needed and its arrivals are compressed, so that all jobs would
    keep the devices busy for the share `load` of the time in which they arrive. Light tasks come as
    a Poisson process over that time.
    """
    count = max(1, round(jobs / (1 + light)))
    trainings = _repeated(_clipped(trainings), count)
    pick = random.Random(seed)  # noqa: S311 - a benchmark
    tasks = [_light(pick, number) for number in range(round(count * light))]
    total = sum(work.seconds * work.gpus for work in (*trainings, *tasks))
    span = total / (load * devices)
    return _numbered([*_stretched(trainings, span), *_poisson(tasks, span, pick)])


def _row(path: str, number: int, line: str) -> tuple[str, int, float, int]:
    cells = line.rstrip("\n").split("\t")
    if len(cells) != COLUMNS:
        raise BadDataError(f"{path}:{number}: {len(cells)} columns, not {COLUMNS}")
    try:
        row = cells[0], int(cells[4]), float(cells[5]), int(cells[6])
    except ValueError as error:
        raise BadDataError(f"{path}:{number}: {error}") from None
    if row[1] <= 0 or not 0 <= row[2] < math.inf or row[3] <= 0:
        raise BadDataError(f"{path}:{number}: steps, arrival and scale factor must be positive")
    return row


def _clipped(trainings: Sequence[Work]) -> list[Work]:
    seconds = sorted(work.seconds for work in trainings)
    longest = seconds[math.ceil(len(seconds) * (1 - LONGEST_SHARE)) - 1]
    return [replace(work, seconds=min(work.seconds, longest)) for work in trainings]


def _repeated(trainings: Sequence[Work], count: int) -> list[Work]:
    """The trace again and again, each time after the last arrival of the time before."""
    first, last = trainings[0].arrival, trainings[-1].arrival
    period = (last - first) * (1 + 1 / len(trainings))
    rounds = (divmod(number, len(trainings)) for number in range(count))
    return [
        replace(trainings[place], arrival=trainings[place].arrival - first + turn * period)
        for turn, place in rounds
    ]


def _stretched(trainings: Sequence[Work], span: float) -> list[Work]:
    last = trainings[-1].arrival or 1.0
    return [replace(work, arrival=work.arrival / last * span) for work in trainings]


def _light(pick: random.Random, number: int) -> Work:
    seconds = min(LIGHT_MOST, max(LIGHT_LEAST, pick.expovariate(1 / LIGHT_MEAN)))
    return Work(number, pick.choice(LIGHT_KINDS), 0.0, seconds, light=True)


def _poisson(tasks: Sequence[Work], span: float, pick: random.Random) -> list[Work]:
    """A Poisson process of which the number in the span is known: independent uniform instants."""
    return [replace(task, arrival=pick.uniform(0.0, span)) for task in tasks]


def _numbered(works: Iterable[Work]) -> list[Work]:
    in_order = sorted(works, key=lambda work: (work.arrival, work.light, work.number))
    return [replace(work, number=number) for number, work in enumerate(in_order)]
