"""Where an existing loop is: the iterations that it has opened, one inside the other.

Each is known by its number in the order in which the script opens them, which is the same when
the script is run again; one that is opened in the body of a loop, by its line. So a saved place
finds its iteration again, and one that was over gives nothing more.
"""

from typing import Any

from gpurun.sdk.data import Batches

Path = tuple[str, ...]
"""The keys of iterations from the outermost to one of them, or to a turn inside it."""
_BODY = "body "
"""How the keys of what a body opens begin."""


class Place:
    """One iteration: of epochs, of steps, or of the batches of an epoch."""

    def __init__(
        self, saved: dict[str, Any] | None = None, path: Path = (), before: int = 0
    ) -> None:
        saved = saved or {}
        self.path = path
        self.before: int = saved.get("before", before)
        """Turns that had been begun when it was opened."""
        self.at: int = saved.get("at", 0)
        """Items that are behind it; of an iteration of batches its data knows."""
        self.over: bool = saved.get("over", False)
        """Whether it gives nothing any more."""
        self.data: Batches[Any] | None = None
        """What an iteration of batches draws from."""
        self.saved: dict[str, Any] | None = saved.get("data")
        """Where its data was at the pause."""
        self.count = 0
        """How many items it has in all; 0 where that is not known."""
        self._inner: dict[str, Place] = {}
        self._expected: dict[str, dict[str, Any]] = dict(saved.get("inner", {}))
        """What was inside at the pause and has not been opened again."""
        self._opened = 0
        """How many iterations were opened inside the present item."""

    @property
    def outermost(self) -> bool:
        """Whether it is in no other."""
        return len(self.path) == 1 and self.path[0].isdecimal()

    def open_next(self, before: int) -> "Place":
        """The next iteration inside the present item."""
        self._opened += 1
        return self._open(str(self._opened - 1), before)

    def open_at(self, line: str, before: int) -> "Place":
        """The next iteration that this line opens in a body, which may keep it over many items."""
        number = 0
        while (inner := self._inner.get(f"{_BODY}{line}#{number}")) and not inner.over:
            number += 1
        return self._open(f"{_BODY}{line}#{number}", before)

    def turn_at(self, line: str) -> Path:
        """A turn that this line makes by itself between two iterations of the present item."""
        return (*self.path, f"turn {self._opened} {line}")

    def _open(self, key: str, before: int) -> "Place":
        self._inner[key] = Place(self._expected.pop(key, None), (*self.path, key), before)
        return self._inner[key]

    def next_item(self) -> None:
        """Its item is behind it, with all that was opened inside."""
        self.at += 1
        self._inner, self._expected, self._opened = {}, {}, 0

    def state(self) -> dict[str, Any]:
        """It and all inside it, as plain values and random states."""
        inner = {
            key: place.state()
            for key, place in self._inner.items()
            if not (place.over and key.startswith(_BODY))
        }
        data = self.saved if self.data is None else self.data.state_dict()
        return {
            "before": self.before,
            "at": self.at,
            "over": self.over,
            "data": None if self.over else data,
            "inner": {**self._expected, **inner},
        }
