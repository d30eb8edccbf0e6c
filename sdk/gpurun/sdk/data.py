"""Data without end that knows its place: the same batches in the same order after a pause.

A DataLoader cannot tell where it is. What can be done, exactly, is to begin its epoch again from
the random states with which it began, and to take the batches that were already consumed out of
it; then the random states of now are put back. That reads those batches once more. Loader
workers that would outlive an epoch are ended with it: their random states are out of reach.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from gpurun.sdk import cycle, rng
from gpurun.sdk.errors import CheckpointError

T = TypeVar("T")


_GOES_ON = ("exact", "skip")
"""Those by which the next batch is the one behind the last."""
RESUMES = (*_GOES_ON, "epoch", "fresh")


def batches(loader: Iterable[T], resume: str = "exact") -> "Batches[T]":
    """Iterate over the loader for ever, epoch after epoch; see Batches.

    `resume` says what to do after a pause by exit. "exact" goes on with the next batch, bit for
    bit, and where the data cannot do that the training does not exit. "skip" reads the epoch again
    up to there, which is exact for data that comes in the same order each time. "epoch" begins the
    epoch again, "fresh" an iteration of its own.
    """
    return Batches(loader, resume)


class Batches(Generic[T]):
    """An endless iterator over a DataLoader, or over anything that can be iterated again.

    After load_state_dict the next batch is the one that would have come next, and the random
    states behind it are those that would have been: for data sets with an order (map-style), for
    loaders that have a state_dict, for an IterableDataset with one when it has no workers, and
    for lists and the like. A stream that is placed by torchdata's StatefulDataLoader in workers
    goes on with the same rows, but with new random states in the workers. Generators of the
    loader's samplers and data sets count.
    """

    def __init__(self, loader: Iterable[T], resume: str = "exact", *, endless: bool = True) -> None:
        if resume not in RESUMES:
            raise ValueError(f"resume is {resume!r}, and not one of {', '.join(RESUMES)}")
        self.epoch = 0
        """The epoch of the last batch, from 1."""
        self.batch = 0
        """The number of the last batch in its epoch, from 1."""
        self._loader: Any = loader
        self._resume = resume
        self._endless = endless
        """Whether its epochs follow one another and so tell of a cycle."""
        self._source = _source_with_state(loader) if resume in _GOES_ON else None
        self._generators = list(generators_of(loader))
        self._iterator: Iterator[T] | None = None
        self._start: dict[str, Any] | None = None
        self._looks_ahead = _reads_ahead_here(loader)
        self._before: dict[str, Any] | None = None
        """Random states before the last batch was asked of a loader that read the next one then."""
        self._loaded = False
        self._at_end = False

    @property
    def pausable(self) -> bool:
        """Whether the data can be put back to its place in another process."""
        if isinstance(self._loader, Iterator):
            return False
        has_a_place = self._source is not None or not is_iterable_dataset(self._loader)
        return has_a_place or self._resume != "exact"

    @property
    def ended(self) -> bool:
        """Whether no batch of this epoch is left, as far as can be told before asking for one."""
        return self._at_end and self._iterator is None

    def __iter__(self) -> "Batches[T]":
        return self

    def __next__(self) -> T:
        for _ in range(2):
            try:
                return self.take()
            except StopIteration:
                continue
        raise ValueError(f"the loader {self._loader!r} has no batches")

    def take(self) -> T:
        """The next batch of this epoch; StopIteration at its end, behind which another begins."""
        if self._loaded:
            self._go_back()
        if self._iterator is None:
            self._begin_epoch()
        if self._looks_ahead:
            self._before = self._random_states()
        try:
            value = next(self._iterator)  # type: ignore[arg-type]
        except StopIteration:
            self._iterator = None
            raise
        self.batch += 1
        self._at_end = self._source is not None and _has_ended(self._iterator)
        return value

    def end_epoch(self) -> None:
        """Leave what is left of this epoch: the next batch is the first of another."""
        self._iterator, self._start, self._loaded, self.batch = None, None, False, 0

    def state_dict(self) -> dict[str, Any]:
        """The place: epoch, batches consumed of it, and random states at its start and now."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "start": self._start,
            "before": self._before,
            "private": [rng.get_state(generator) for generator in self._generators],
            "source": self._state_of_source(),
            "at_end": self._at_end,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to that place; the batches before it are read when the next one is asked for."""
        self.epoch, self.batch, self._start = state["epoch"], state["batch"], state["start"]
        self._before = state["before"]
        self._set_private(state["private"])
        if self._source is not None and state["source"] is not None:
            self._source.load_state_dict(state["source"])
        self._iterator = None
        self._at_end = state["at_end"]
        self._loaded = self._start is not None and not self._at_end

    def _state_of_source(self) -> Any:
        """A loader is not asked before its first batch: it would begin to draw for the epoch."""
        if self._source is None or (self._source is self._loader and self._start is None):
            return None
        return self._source.state_dict()

    def _begin_epoch(self) -> None:
        self.epoch, self.batch = self.epoch + 1, 0
        if self._endless:
            cycle.begin_epoch(self)
        self._start = self._random_states()
        self._iterator = self._iterate()

    def _go_back(self) -> None:
        self._loaded = False
        if self._resume == "fresh":
            self._iterator = self._iterate()
            return
        now = self._random_states()
        if self._source is None:
            assert self._start is not None  # noqa: S101 - _loaded says so
            self._set_random_states(self._start)
        self._iterator = self._iterate()
        if self._resume == "epoch":
            self.batch = 0
        elif self._source is None:
            self._skip(self._iterator)
        self._set_random_states(now)

    def _skip(self, iterator: Iterator[T]) -> None:
        nothing = object()
        for number in range(1, self.batch + 1):
            if number == self.batch and self._before is not None:
                self._set_random_states(self._before)
            if next(iterator, nothing) is nothing:
                raise CheckpointError(f"{self._loader!r} has fewer batches than before the pause")

    def _iterate(self) -> Iterator[T]:
        if getattr(self._loader, "persistent_workers", False):
            _base(self._loader)._iterator = None
        return iter(self._loader)

    def _random_states(self) -> dict[str, Any]:
        private = [rng.get_state(generator) for generator in self._generators]
        return {"global": rng.capture(), "private": private}

    def _set_random_states(self, states: dict[str, Any]) -> None:
        rng.restore(states["global"])
        self._set_private(states["private"])

    def _set_private(self, states: list[Any]) -> None:
        for generator, state in zip(self._generators, states, strict=True):
            rng.set_state(generator, state)


def _source_with_state(loader: Any) -> Any:
    """What keeps the place by itself: the loader, or its IterableDataset in this process."""
    if hasattr(_base(loader), "load_state_dict"):
        return None if _draws_in_workers(loader) else loader
    if is_iterable_dataset(loader) and loader.num_workers == 0 and _base(loader) is loader:
        return loader.dataset if hasattr(loader.dataset, "load_state_dict") else None
    return None


def _base(loader: Any) -> Any:
    """The DataLoader behind one that accelerate has prepared, which itself has no state."""
    return getattr(loader, "base_dataloader", loader)


def _reads_ahead_here(loader: Any) -> bool:
    """Whether it reads a batch more than it gives, as accelerate's do, and in this process."""
    return _base(loader) is not loader and loader.num_workers == 0


def _draws_in_workers(loader: Any) -> bool:
    """Whether reading again is exact and its own state is not.

    torchdata's StatefulDataLoader puts workers back to their place, but not their random states.
    """
    return bool(getattr(loader, "num_workers", 0)) and not is_iterable_dataset(loader)


def is_iterable_dataset(loader: Any) -> bool:
    """Whether its data come in an order of their own, and cannot be asked for by number."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(getattr(loader, "dataset", None), data.IterableDataset)


def _has_ended(iterator: Any) -> bool:
    """Whether a stream's last batch was short: its own state may already be that of a new epoch."""
    return getattr(getattr(iterator, "_dataset_fetcher", None), "ended", False)


def generators_of(loader: Any) -> Iterator[Any]:
    """Random generators of the loader, its samplers and data sets, each once."""
    seen: set[int] = set()
    owners = [loader]
    while owners:
        owner = owners.pop()
        if id(owner) in seen or not hasattr(owner, "__dict__"):
            continue
        seen.add(id(owner))
        for name, value in vars(owner).items():
            if rng.is_generator(value) and id(value) not in seen:
                seen.add(id(value))
                yield value
            elif name in ("base_dataloader", "sampler", "batch_sampler", "dataset"):
                owners.append(value)
