"""The trainings of a trace, as the file has them."""

import math
from dataclasses import dataclass

from benchmarks.replaying.rates import BadDataError, Rates

COLUMNS = 7


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
    works: list[Work] = []
    unmeasured = too_wide = 0
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
