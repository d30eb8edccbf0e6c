"""How fast each type of training is, alone and beside another, as measured.

The file of throughputs has, for each kind of device and each "('TYPE', GPUS)", steps per second:
alone under "null", else [this one, the other] while both share one device. A pair with a 0 did not
fit. Pairs of gangs were not measured: what a gang's member loses is taken from the pairs of single
jobs of its type.
"""

import json
from collections.abc import Mapping

from benchmarks.replaying.sizes import DEVICE_TOTAL, memory_of

from gpurun.coordinator.core.settings import Limits

LEAST_TAKEN = 0.31
"""Share of a device's time that every job is told to take at least: three of them pass the cap of
0.90, and what three jobs do to each other was not measured."""


class BadDataError(Exception):
    """A file that cannot be read, in one line."""


class Rates:
    """The measured throughputs of one kind of device."""

    def __init__(self, table: Mapping[str, Mapping[str, object]]) -> None:
        self._alone: dict[tuple[str, int], float] = {}
        self._beside: dict[tuple[str, str], float] = {}
        self._take(table)
        self.kinds = tuple(sorted({kind for kind, _ in self._beside}))
        self._taken = {kind: self._mean_loss(kind) for kind in self.kinds}
        self._check_sizes()

    def alone(self, kind: str, gpus: int) -> float | None:
        """Steps per second with the devices to itself; None where that was not measured."""
        return self._alone.get((kind, gpus))

    def beside(self, kind: str, other: str) -> float:
        """The share of its speed that is left to it beside the other; 0 where both do not fit."""
        return self._beside[kind, other]

    def taken(self, kind: str) -> float:
        """Its share of a device's time: the mean share of their speed that others lose beside it.

        Two jobs whose shares add up to the cap of 0.90 thus get at least 1.1 times the work of one
        done, on the mean over all partners.
        """
        return max(LEAST_TAKEN, self._taken[kind])

    def _take(self, table: Mapping[str, Mapping[str, object]]) -> None:
        for key, row in table.items():
            kind, gpus = _parsed(key)
            self._alone[kind, gpus] = _number(row.get("null"), key)
            if gpus == 1:
                self._take_pairs(key, kind, row)

    def _take_pairs(self, key: str, kind: str, row: Mapping[str, object]) -> None:
        alone = self._alone[kind, 1]
        for other, pair in row.items():
            if other != "null":
                if not isinstance(pair, list) or len(pair) != 2:
                    raise BadDataError(f"throughputs: {key} beside {other} is not a pair of rates")
                rates = [_number(rate, key) for rate in pair]
                self._beside[kind, _parsed(other)[0]] = rates[0] / alone if all(rates) else 0.0

    def _mean_loss(self, kind: str) -> float:
        left = [self._beside[other, kind] for other in self.kinds]
        fitting = [share for share in left if share]
        return 1 - sum(fitting) / len(fitting) if fitting else 1.0

    def _check_sizes(self) -> None:
        limits = Limits()
        shareable = limits.memory * DEVICE_TOTAL - limits.headroom
        for (kind, other), left in self._beside.items():
            if not left and memory_of(kind) + memory_of(other) <= shareable:
                raise BadDataError(f"sizes: {kind} and {other} did not fit, but their sizes would")


def read_rates(path: str, device: str) -> Rates:
    """Read the file of throughputs; raise BadDataError where it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)
    except (OSError, ValueError) as error:
        raise BadDataError(f"{path}: {error}") from None
    if not isinstance(whole, dict) or not isinstance(whole.get(device), dict):
        known = ", ".join(whole) if isinstance(whole, dict) else "nothing"
        raise BadDataError(f"{path}: no device {device!r} in it; it has {known}")
    return Rates(whole[device])


def _parsed(key: str) -> tuple[str, int]:
    """`('TYPE', GPUS)` as the file writes it."""
    kind, comma, gpus = key.removeprefix("('").removesuffix(")").rpartition("', ")
    if not comma or not gpus.isdigit():
        raise BadDataError(f"throughputs: {key!r} is not ('TYPE', GPUS)")
    return kind, int(gpus)


def _number(value: object, key: str) -> float:
    if not isinstance(value, int | float) or value < 0:
        raise BadDataError(f"throughputs: a rate of {key} is {value!r}")
    return float(value)
