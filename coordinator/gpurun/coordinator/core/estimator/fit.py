"""Sums of parts, none of which shrinks while its numbers grow, through a few points.

Memory of a training is weights and optimizer state, which do not depend on the batch, and
activations, which grow with it (DNNMem, ESEC/FSE 2020, section 3). So: a constant, each number, and
products of them, with coefficients that are not negative. Few points cannot tell which numbers
matter: of the sums that explain them about as well as any, the one that says most counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from math import prod

Numbers = Mapping[str, float]
Point = tuple[tuple[tuple[str, float], ...], float]
"""The numbers of one combination, by name, and what it took."""
Row = Sequence[float]
Parts = tuple[tuple[str, ...], ...]
"""Each part is a product of these numbers."""

SWEEPS = 100
MOST_FACTORS = 4
"""Numbers whose products are looked at; more than that say more than the points can."""
AS_WELL = 0.02
"""Difference, as a share of what was taken, in how two sums explain the points."""


class Fit:
    """What the points say of other combinations."""

    def __init__(self, points: Sequence[Point]) -> None:
        seen = [dict(numbers) for numbers, _ in points]
        self.names = [name for name in seen[0] if len({numbers[name] for numbers in seen}) > 1]
        """The numbers that were seen to vary: nothing is known of the others."""
        values = [value for _, value in points]
        sums = [_Sum(parts, seen, values) for parts in _candidates(self.names, len(points))]
        self.miss = min(found.miss for found in sums)
        """By how large a share of it the best is off the point that it misses most."""
        self._sums = [found for found in sums if found.miss <= self.miss + AS_WELL]

    def at(self, numbers: Numbers) -> float:
        """The largest value that the points allow."""
        return max(found.at(numbers) for found in self._sums)


@lru_cache(maxsize=256)
def fitted(points: tuple[Point, ...]) -> Fit:
    """The fit; it is worked out once for all combinations that are estimated from the points."""
    return Fit(points)


def _candidates(names: Sequence[str], points: int) -> Iterator[Parts]:
    singles = tuple((name,) for name in names)
    pairs = tuple(combinations(names, 2)) if len(names) <= MOST_FACTORS else ()
    if points > 1 + len(singles):
        yield (*singles, *pairs)
    if points <= 1 + len(singles) + len(pairs):
        yield singles
        yield (tuple(names),)
        yield from ((single,) for single in singles)


class _Sum:
    """Least squares with coefficients of at least 0, over parts scaled to 1."""

    def __init__(self, parts: Parts, seen: Sequence[Numbers], values: Row) -> None:
        self._parts = parts
        rows = [self._row(numbers) for numbers in seen]
        self._scale = [max(column) or 1.0 for column in zip(*rows, strict=True)]
        self._constant, self._slopes = _line([self._scaled(row) for row in rows], values)
        pairs = zip(seen, values, strict=True)
        self.miss = max(abs(self.at(numbers) / max(1.0, value) - 1) for numbers, value in pairs)

    def at(self, numbers: Numbers) -> float:
        """The fitted value."""
        return self._constant + _dot(self._slopes, self._scaled(self._row(numbers)))

    def _row(self, numbers: Numbers) -> Row:
        return [prod(abs(numbers[name]) for name in part) for part in self._parts]

    def _scaled(self, row: Row) -> Row:
        return [part / scale for part, scale in zip(row, self._scale, strict=True)]


def _line(rows: Sequence[Row], values: Row) -> tuple[float, Row]:
    """Constant and slopes; around the means first, where the constant is in no slope's way."""
    means = [_mean(column) for column in zip(*rows, strict=True)]
    centred = [[x - mean for x, mean in zip(row, means, strict=True)] for row in rows]
    slopes = _descend(centred, [value - _mean(values) for value in values])
    constant = _mean(values) - _dot(slopes, means)
    return (constant, slopes) if constant >= 0 else (0.0, _descend(rows, values))


def _descend(rows: Sequence[Row], values: Row) -> Row:
    """Minimize the squared error over coefficients of at least 0, one after the other."""
    columns = list(zip(*rows, strict=True))
    gram = [[_dot(a, b) for b in columns] for a in columns]
    target = [_dot(a, values) for a in columns]
    found = [0.0] * len(columns)
    for _ in range(SWEEPS if len(columns) > 1 else 1):
        for n, row in enumerate(gram):
            if row[n]:
                found[n] = max(0.0, found[n] + (target[n] - _dot(row, found)) / row[n])
    return found


def _mean(values: Row) -> float:
    return sum(values) / len(values)


def _dot(a: Row, b: Row) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
