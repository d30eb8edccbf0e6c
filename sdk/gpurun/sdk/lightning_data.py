"""Lightning's combined loader as one that knows its place: what Batches is for a single one.

Its epoch begins in two instants: workers and their seeds come with `iter`, and a sampler that
draws from the global generator does so with the first batch; hooks of the training may draw in
between, and a shorter loader begins anew in the middle. The random states of each such instant are
kept, and putting it back repeats them.
"""

from typing import Any

from gpurun.sdk import rng
from gpurun.sdk.data import generators_of, is_iterable_dataset
from gpurun.sdk.errors import CheckpointError


class Place:
    """Where in its epoch one combined loader is."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._kind = type(loader)
        self._start: dict[str, Any] = {}
        self._draws: dict[int, dict[str, Any]] = {}
        self._consumed = 0

    def begin(self) -> Any:
        """An epoch."""
        for loader in self._loaders:
            if getattr(loader, "persistent_workers", False):
                loader._iterator = None  # the random states of its workers are out of reach
        self._start, self._draws, self._consumed = self._random_states(), {}, 0
        return self._kind.__iter__(self._loader)

    def next(self) -> Any:
        """Take a batch."""
        if self._may_draw():
            self._draws[self._consumed] = self._random_states()
        batch = self._kind.__next__(self._loader)
        self._consumed += 1
        return batch

    def obstacle(self) -> str:
        """Why it cannot be put back to a place; empty where it can."""
        for loader in self._loaders:
            if not _length(loader):
                return "a loader without a length is read ahead of the training"
            if self._source is None and is_iterable_dataset(loader):
                return "the data of an IterableDataset cannot return to their place"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Batches consumed of this epoch, and the random states that led to them."""
        return {
            "start": self._start,
            "draws": self._draws,
            "consumed": self._consumed,
            "private": self._private(),
            "source": self._source.state_dict() if self._source is not None else None,
        }

    def put_back(self, state: dict[str, Any]) -> int:
        """Go there, the global random states aside; return the batches consumed of the epoch."""
        self._set_random_states(state["start"])
        if self._source is not None:
            self._source.load_state_dict(state["source"])
        self.begin()
        if self._source is None:
            self._skip(state["consumed"], state["draws"])
        self._draws, self._consumed = state["draws"], state["consumed"]
        self._set_private(state["private"])
        return self._consumed

    def _skip(self, count: int, draws: dict[int, dict[str, Any]]) -> None:
        for number in range(count):
            if number in draws:
                self._set_random_states(draws[number])
            try:
                self._kind.__next__(self._loader)
            except StopIteration:
                raise CheckpointError("the data have fewer batches than before the pause") from None

    @property
    def _loaders(self) -> list[Any]:
        """Those that are combined; Lightning may still exchange them."""
        loaders: list[Any] = self._loader.flattened
        return loaders

    @property
    def _source(self) -> Any:
        """The loader, where it is one alone that keeps its place by itself."""
        (first, *others) = self._loaders
        return first if not others and hasattr(first, "load_state_dict") else None

    def _may_draw(self) -> bool:
        """Whether a sampler begins with the next batch: of all, or of one that begins anew."""
        if self._consumed == 0 or len(self._loaders) == 1:
            return self._consumed == 0
        lengths = [_length(loader) for loader in self._loaders]
        return any(length and self._consumed % length == 0 for length in lengths)

    def _random_states(self) -> dict[str, Any]:
        return {"global": rng.capture(), "private": self._private()}

    def _set_random_states(self, states: dict[str, Any]) -> None:
        rng.restore(states["global"])
        self._set_private(states["private"])

    def _private(self) -> list[Any]:
        return private_states(self._loaders)

    def _set_private(self, states: list[Any]) -> None:
        set_private_states(self._loaders, states)


def place_of(combined: Any) -> Place:
    """Let a combined loader know its place, from its next epoch on; give that."""
    if "_gpurun_place" not in vars(combined):
        combined._gpurun_place = Place(combined)
        combined.__class__ = _placed(type(combined))
    place: Place = combined._gpurun_place
    return place


def _length(loader: Any) -> int:
    """Its batches; 0 where it cannot tell."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return 0


def _placed(kind: Any) -> type:
    """The same class, with the two methods by which it is read."""

    def begin(self: Any) -> Any:
        return place_of(self).begin()

    def take(self: Any) -> Any:
        return place_of(self).next()

    return type(kind.__name__, (kind,), {"__iter__": begin, "__next__": take})


def private_states(loaders: list[Any]) -> list[Any]:
    """States of all generators that the loaders, their samplers and data sets have of their own."""
    return [rng.get_state(own) for loader in loaders for own in generators_of(loader)]


def set_private_states(loaders: list[Any], states: list[Any]) -> None:
    """Put them back."""
    owned = [own for loader in loaders for own in generators_of(loader)]
    for generator, state in zip(owned, states, strict=True):
        rng.set_state(generator, state)
