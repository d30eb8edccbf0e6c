"""A Lightning training that is paused, at whatever batch, ends as one that never was."""

import os
import shutil
from collections.abc import Callable, Collection
from typing import Any

import pytest
from tests.sdk.coordinator_double import JOB, Coordinator, wait_until
from tests.sdk.lightning.trainings import BATCHES, EPOCHS, train, two_lengths

from gpurun.protocol import messages as m
from gpurun.sdk.link import Link

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning warns of much that is meant here
ALL = EPOCHS * BATCHES


class Paused:
    """A training asked to exit before each batch and told to go on; what each pause has left."""

    def __init__(self, folder: str, coordinator: Coordinator, links: list[Link]) -> None:
        self.out = f"{folder}/out"
        self._kept = f"{folder}/kept"
        self._coordinator = coordinator
        self._links = links
        coordinator.on(m.Durable, self._keep)

    def ask(self, batch: int) -> None:
        """Have a request arrive in this batch: it is answered before the next one is taken."""
        wait_until(lambda: self._links[-1].welcomed, "the welcome")
        self._coordinator.pause(batch + 1)
        wait_until(lambda: self._has_come(batch + 1), "the request")

    def _has_come(self, number: int) -> bool:
        request = self._links[-1].request
        return request is not None and request.request == number

    def _keep(self, durable: m.Durable) -> m.Message:
        """Keep the checkpoint and all files as they are now, and let it go on."""
        os.makedirs(f"{self._kept}/{durable.step}")
        shutil.copytree(durable.checkpoint, f"{self._kept}/{durable.step}/checkpoint")
        shutil.copytree(self.out, f"{self._kept}/{durable.step}/out")
        return m.GoOn(job=JOB, request=durable.request)

    @property
    def steps(self) -> list[int]:
        """Batches done at each pause."""
        return sorted(map(int, os.listdir(self._kept)))

    def go_back(self, step: int) -> str:
        """Make the files those of that pause; return its checkpoint."""
        shutil.rmtree(self.out)
        shutil.copytree(f"{self._kept}/{step}/out", self.out)
        return f"{self._kept}/{step}/checkpoint"


def check(
    train: Callable[..., dict[str, str]],
    folder: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
    only: Collection[int] = range(ALL),
    **options: Any,
) -> list[int]:
    """The training that goes on, and each that starts from a checkpoint, end the same."""
    paused = Paused(folder, coordinator, links)
    with monkeypatch.context() as outside:
        outside.delenv("GPURUN_JOB")
        undisturbed = train(paused.out, **options)
    assert links == []
    shutil.rmtree(paused.out)
    assert train(paused.out, paused.ask, **options) == undisturbed
    steps = paused.steps
    for step in sorted({*steps} & {*only}):
        monkeypatch.setenv("GPURUN_RESUME", paused.go_back(step))
        assert train(paused.out, **options) == undisturbed, f"paused after {step} batches"
        assert coordinator.of(m.Resumed)[-1].step == step
    return steps


def test_a_pause_at_any_batch_loses_nothing(
    folder: str, coordinator: Coordinator, links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = check(train, folder, coordinator, links, monkeypatch)
    assert steps == list(range(1, ALL))


VARIANTS: dict[str, tuple[dict[str, Any], Collection[int]]] = {
    "loader workers": ({"workers": 2}, (3, 5, 11)),
    "gradient accumulation": ({"accumulate_grad_batches": 2}, (4, 7)),
    "validation in mid-epoch": ({"val_check_interval": 2}, (2, 3, 7, 12)),
    "steps for epochs": ({"max_epochs": -1, "max_steps": 12, "limit_train_batches": 4}, (3, 8)),
    "loaders of two lengths": ({"data": two_lengths}, (2, 4, 9)),
    "its data made anew": ({"reload_dataloaders_every_n_epochs": 1}, (5, 6)),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_nor_does_one_with(
    name: str,
    folder: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options, only = VARIANTS[name]
    steps = check(train, folder, coordinator, links, monkeypatch, only, **options)
    accumulating = "accumulate_grad_batches" in options
    assert (steps == [2, 4, 5, 7, 9, 10, 12, 14]) == accumulating  # between optimizer steps only
