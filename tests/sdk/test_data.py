"""The stream of batches, and the random states behind it, are those of no interruption."""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.sdk.coordinator_double import Coordinator
from tests.sdk.trainings import Tiny
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    WeightedRandomSampler,
)
from torchdata.stateful_dataloader import StatefulDataLoader

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import rng
from gpurun.sdk.errors import CheckpointError

pytestmark = pytest.mark.filterwarnings(
    "ignore:'set_vital' is deprecated:UserWarning"
)  # torchdata's
EPOCH, BATCH = 10, 3
ENOUGH = 9
"""Batches: two epochs and a bit."""


class Noisy(Dataset[torch.Tensor]):
    """Numbers of rows, each with noise from every kind of generator."""

    def __init__(self) -> None:
        self.own = np.random.default_rng(8)

    def __len__(self) -> int:
        return EPOCH

    def __getitem__(self, index: int) -> torch.Tensor:
        noise = (torch.rand(()).item(), random.gauss(), np.random.rand(), self.own.random())
        return torch.tensor([float(index), *noise], dtype=torch.float64)


class Backwards(Sampler[int]):
    """A sampler with a generator of Python's own that draws as it goes."""

    def __init__(self) -> None:
        self.draws = random.Random(4)  # noqa: S311 - no secret

    def __iter__(self) -> Iterator[int]:
        for index in reversed(range(EPOCH)):
            yield index if self.draws.random() < 0.5 else 0


def noisy_loader(workers: int = 0, **options: Any) -> "DataLoader[torch.Tensor]":
    """Noisy in batches of three."""
    return DataLoader(Noisy(), batch_size=BATCH, num_workers=workers, **options)


def seeded_generator() -> torch.Generator:
    """A generator that no global seed touches."""
    return torch.Generator().manual_seed(6)


LOADERS: dict[str, Callable[[], Iterable[Any]]] = {
    "plain": noisy_loader,
    "shuffled": lambda: noisy_loader(shuffle=True),
    "own generator": lambda: noisy_loader(shuffle=True, generator=seeded_generator()),
    "with replacement": lambda: noisy_loader(
        sampler=RandomSampler(Noisy(), replacement=True, generator=seeded_generator())
    ),
    "weighted": lambda: noisy_loader(sampler=WeightedRandomSampler([1, 2] * 5, EPOCH)),
    "own sampler": lambda: noisy_loader(sampler=Backwards()),
    "own batches": lambda: DataLoader(
        Noisy(), batch_sampler=BatchSampler(Backwards(), BATCH, drop_last=True)
    ),
    "list": lambda: [torch.tensor([float(i)]) for i in range(4)],
    "workers": lambda: noisy_loader(2, shuffle=True),
    "workers, own generator": lambda: noisy_loader(
        2, shuffle=True, generator=seeded_generator(), prefetch_factor=1
    ),
    "workers that persist": lambda: noisy_loader(2, shuffle=True, persistent_workers=True),
    "placed": lambda: StatefulDataLoader(Noisy(), batch_size=BATCH, shuffle=True),
    "placed, workers": lambda: StatefulDataLoader(Noisy(), batch_size=BATCH, num_workers=2),
}


def begin(make: Callable[[], Iterable[Any]]) -> sdk.Batches[Any]:
    """Seed as a script does at its start, and make the data."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    return sdk.batches(make())


def take(data: sdk.Batches[Any]) -> tuple[str, str]:
    """A batch, with the draws of a training step on either side, and all random states after."""
    before = torch.rand(()).item() + random.gauss()
    batch = next(data)
    after = np.random.rand() + torch.rand(()).item()
    return sdk.digest([before, batch, after]), sdk.digest(rng.capture())


@pytest.mark.parametrize("name", LOADERS)
def test_pitfall_03_the_stream_is_the_same_wherever_it_is_interrupted(name: str) -> None:
    """Interrupted at each place, and again one batch later: that is twice in one epoch."""
    make = LOADERS[name]
    places = range(ENOUGH - 1) if "workers" not in name else (1, 5)
    data = begin(make)
    undisturbed = [take(data) for _ in range(ENOUGH)]
    at_the_end = sdk.digest(data)
    for place in places:
        data = begin(make)
        stream = [take(data) for _ in range(place)]
        for batches in (1, ENOUGH - place - 1):
            saved, states = data.state_dict(), rng.capture()
            data = begin(make)
            data.load_state_dict(saved)
            data.load_state_dict(data.state_dict())
            rng.restore(states)
            stream += [take(data) for _ in range(batches)]
        assert stream == undisturbed, f"interrupted after {place}"
        assert sdk.digest(data) == at_the_end


@pytest.mark.parametrize(
    "make", [DataLoader, StatefulDataLoader], ids=["plain", "one that knows its place"]
)
@pytest.mark.parametrize(
    ("resume", "then"), [("exact", 4), ("skip", 4), ("epoch", 0), ("fresh", 0)]
)
def test_it_goes_on_as_it_was_said_whatever_the_loader_could_do(
    make: Callable[..., Iterable[torch.Tensor]], resume: str, then: int
) -> None:
    before = sdk.batches(make(range(8), batch_size=2), resume)
    assert [next(before)[0].item() for _ in range(2)] == [0, 2]
    behind = sdk.batches(make(range(8), batch_size=2), resume)
    behind.load_state_dict(before.state_dict())
    assert next(behind)[0].item() == then


def test_it_counts_epochs_and_batches_from_one() -> None:
    """Three batches an epoch: the fourth is the first of the second epoch."""
    data = sdk.batches([1, 2, 3])
    assert [(next(data), data.epoch, data.batch) for _ in range(4)] == [
        (1, 1, 1),
        (2, 1, 2),
        (3, 1, 3),
        (1, 2, 1),
    ]


def test_a_loader_without_batches_is_an_error() -> None:
    """Rather than looking for one for ever."""
    with pytest.raises(ValueError, match="no batches"):
        next(sdk.batches([]))


def test_data_that_has_shrunk_is_an_error() -> None:
    """There is no such place any more, and no other is taken for it."""
    data = sdk.batches([1, 2, 3])
    for _ in range(3):
        next(data)
    fewer = sdk.batches([1, 2])
    fewer.load_state_dict(data.state_dict())
    with pytest.raises(CheckpointError, match="fewer batches"):
        next(fewer)


class Stream(IterableDataset[int]):
    """Numbers from somewhere that cannot be asked again."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


class PlacedStream(Stream):
    """A stream that knows its place."""

    def __init__(self) -> None:
        self.place = 0

    def __iter__(self) -> Iterator[int]:
        while self.place < 7:
            self.place += 1
            yield self.place
        self.place = 0

    def state_dict(self) -> dict[str, int]:
        return {"place": self.place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.place = state["place"]


@pytest.mark.parametrize(
    ("loader", "pausable"),
    [
        (DataLoader(Stream()), False),
        (DataLoader(PlacedStream()), True),
        (DataLoader(PlacedStream(), num_workers=1), False),
        (iter([1, 2]), False),
        ([1, 2], True),
        (noisy_loader(), True),
    ],
    ids=["stream", "placed stream", "placed in a worker", "iterator", "list", "map-style"],
)
def test_only_what_can_be_put_back_is_pausable(loader: Iterable[Any], pausable: bool) -> None:
    """A stream without a state_dict in this process is not."""
    assert sdk.batches(loader).pausable == pausable


@pytest.mark.parametrize("place", range(1, 5))
def test_a_stream_that_knows_its_place_goes_on_there(place: int) -> None:
    """Its state_dict is used in place of reading again; the random states are untouched."""
    data = begin(lambda: DataLoader(PlacedStream(), batch_size=2))
    undisturbed = [take(data) for _ in range(6)]
    data = begin(lambda: DataLoader(PlacedStream(), batch_size=2))
    stream = [take(data) for _ in range(place)]
    saved, states = data.state_dict(), rng.capture()
    data = begin(lambda: DataLoader(PlacedStream(), batch_size=2))
    data.load_state_dict(saved)
    rng.restore(states)
    assert stream + [take(data) for _ in range(6 - place)] == undisturbed


class Streaming(Tiny):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.streams = [sdk.batches(DataLoader(Stream()))]


def test_a_training_on_a_stream_says_that_it_cannot_exit(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attach offers to stand and to park, and one line names the data."""

    def hook(step: int) -> None:
        if step == 1:
            coordinator.wait_for(m.Attach)

    sdk.run(Streaming, {"before_step": hook}, steps=2)
    assert coordinator.wait_for(m.Attach).pausable == ("stand", "park")
    assert capsys.readouterr().err.splitlines() == [
        "gpurun: this training can stand or park, but not exit: "
        "the data of streams[0] cannot return to its place"
    ]
