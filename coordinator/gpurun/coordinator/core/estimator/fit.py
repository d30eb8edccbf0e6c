"""A sum of parts, none of which shrinks while its numbers grow, through a few points.

Memory of a training is weights and optimizer state, which do not depend on the batch, and
activations, which grow with it (DNNMem, ESEC/FSE 2020, section 3). So: a constant, each number, and
each product of two, with coefficients that are not negative.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations

Numbers = Mapping[str, float]
Point = tuple[tuple[tuple[str, float], ...], float]
"""The numbers of one combination, by name, and what it took."""
Row = Sequence[float]

SWEEPS = 100
MOST_FACTORS = 4
"""Numbers whose products are looked at; more than that say more than the points can."""


class Fit:
    """Least squares with coefficients of at least 0, over parts scaled to 1."""

    def __init__(self, points: Sequence[Point]) -> None:
        seen = [dict(numbers) for numbers, _ in points]
        self.names = [name for name in seen[0] if len({numbers[name] for numbers in seen}) > 1]
        """The numbers that were seen to vary: nothing is known of the others."""
        names = self.names
        # With fewer points a product could not be told from its factors.
        told_apart = len(points) > 1 + len(names) and len(names) <= MOST_FACTORS
        self._products = list(combinations(names, 2)) if told_apart else []
        rows = [self._parts(numbers) for numbers in seen]
        self._scale = [max(column) or 1.0 for column in zip(*rows, strict=True)]
        values = [value for _, value in points]
        self._constant, self._slopes = _line([self._scaled(row) for row in rows], values)
        pairs = zip(seen, values, strict=True)
        self.worst = max(value / max(1.0, self.at(numbers)) - 1 for numbers, value in pairs)
        """By how large a share of it the fit is below the point that it misses most."""

    def at(self, numbers: Numbers) -> float:
        """The fitted value."""
        return self._constant + _dot(self._slopes, self._scaled(self._parts(numbers)))

    def _parts(self, numbers: Numbers) -> Row:
        values = {name: abs(numbers[name]) for name in self.names}
        products = [values[a] * values[b] for a, b in self._products]
        return [*values.values(), *products]

    def _scaled(self, parts: Row) -> Row:
        return [part / scale for part, scale in zip(parts, self._scale, strict=True)]


@lru_cache(maxsize=256)
def fitted(points: tuple[Point, ...]) -> Fit:
    """The fit; it is worked out once for all combinations that are estimated from the points."""
    return Fit(points)


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
