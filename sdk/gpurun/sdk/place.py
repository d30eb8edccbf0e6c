"""Where an existing loop is: the iterations that it has opened, one inside the other.

Each is known by its number in the order in which the script opens them, which is the same when
the script is run again; one that is opened in the body of a loop, by its line. So a saved place
finds its iteration again, and one that was over gives nothing more.
"""

from typing import Any

from gpurun.sdk.data import Batches

TURNS = "turns"
"""The key of the turns that a script makes by itself."""


class Place:
    """One iteration: of epochs, of steps, of the batches of an epoch; or a series of turns."""

    def __init__(self, saved: dict[str, Any] | None = None, path: tuple[str, ...] = ()) -> None:
        saved = saved or {}
        self.path = path
        """The keys from the outermost to this."""
        self.at: int = saved.get("at", 0)
        """Items that are behind it; of an iteration of batches its data knows."""
        self.over: bool = saved.get("over", False)
        """Whether it gives nothing any more."""
        self.data: Batches[Any] | None = None
        """What an iteration of batches draws from."""
        self.saved: dict[str, Any] | None = saved.get("data")
        """Where its data was at the pause."""
        self._inner: dict[str, Place] = {}
        self._expected: dict[str, dict[str, Any]] = dict(saved.get("inner", {}))
        """What was inside at the pause and has not been opened again."""

    def open_next(self) -> "Place":
        """The next iteration inside the present item."""
        return self._open(str(sum(key.isdecimal() for key in self._inner)))

    def open_at(self, line: str) -> "Place":
        """The next iteration that this line opens in a body."""
        return self._open(f"{line}#{sum(key.startswith(f'{line}#') for key in self._inner)}")

    def turns(self) -> "Place":
        """The turns that the script makes by itself in the present item."""
        return self._inner.get(TURNS) or self._open(TURNS)

    def _open(self, key: str) -> "Place":
        self._inner[key] = Place(self._expected.pop(key, None), (*self.path, key))
        return self._inner[key]

    def next_item(self) -> None:
        """Its item is behind it, with all that was opened inside."""
        self.at += 1
        self._inner, self._expected = {}, {}

    def forget_bodies(self) -> None:
        """Let go of what was opened in a body and is over: the next body opens its own."""
        gone = [key for key, inner in self._inner.items() if inner.over and "#" in key]
        for key in gone:
            del self._inner[key]

    def state(self) -> dict[str, Any]:
        """It and all inside it, as plain values and random states."""
        inner = {key: place.state() for key, place in self._inner.items()}
        data = self.saved if self.data is None else self.data.state_dict()
        return {
            "at": self.at,
            "over": self.over,
            "data": None if self.over else data,
            "inner": {**self._expected, **inner},
        }
