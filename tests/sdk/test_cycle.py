"""A whole cycle is told once: when every endless iterator begins its second epoch."""

from collections.abc import Callable
from typing import Any

from tests.sdk.coordinator_double import ATTEMPT, JOB, TOKEN, Coordinator
from tests.sdk.trainings import Tiny, small_loader

from gpurun import sdk
from gpurun.protocol import messages as m

EPOCH = 4
"""Batches of the small loader."""


def told_at(coordinator: Coordinator, kind: type[Tiny], steps: int) -> list[int]:
    """The steps before which it had been told that a cycle is behind, when it was known here."""
    seen: list[int] = []

    def look(step: int) -> None:
        coordinator.wait_for(m.Attach)
        if coordinator.of(m.Cycled):
            seen.append(step)

    sdk.run(kind, {"before_step": look}, steps=steps)
    coordinator.wait_for(m.Detach)
    return seen


def test_it_is_told_once_when_the_second_epoch_begins(coordinator: Coordinator) -> None:
    """What follows the first, its validation and its save, is behind then."""
    before = told_at(coordinator, Tiny, steps=3 * EPOCH)
    (told,) = coordinator.of(m.Cycled)
    assert (told.job, told.attempt, told.token) == (JOB, ATTEMPT, TOKEN)
    assert not before or before[0] > EPOCH


def test_one_epoch_is_no_cycle_yet(coordinator: Coordinator) -> None:
    """Its validation may be still to come."""
    told_at(coordinator, Tiny, steps=EPOCH)
    assert coordinator.of(m.Cycled) == []


class TwoLoaders(Tiny):
    """Data that are drawn in turn with others, half as often."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.rare = sdk.batches(small_loader(0))
        self.draws = 0
        self.before_step: Callable[[int], None] = config["before_step"]

    def step(self) -> dict[str, Any]:
        self.draws += 1
        if self.draws % 2:
            next(self.rare)
        return super().step()


def test_the_slowest_of_several_counts(coordinator: Coordinator) -> None:
    told_at(coordinator, TwoLoaders, steps=2 * EPOCH)
    assert coordinator.of(m.Cycled) == []


def test_outside_gpurun_nothing_is_told() -> None:
    """And nothing is missing."""
    assert sdk.run(Tiny, steps=3 * EPOCH).steps == 3 * EPOCH
