"""An existing loop is paused at any turn, and ends as if it had not been."""

import pytest
from tests.sdk import loops
from tests.sdk.asking import asks_before, go_on_when_durable
from tests.sdk.coordinator_double import Coordinator

from gpurun.protocol import messages as m
from gpurun.sdk.link import Link


def nobody(step: int) -> None:
    """Do nothing before a step."""


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the loop that nobody interrupts."""
    return loops.accumulating(nobody)


@pytest.mark.parametrize("step", range(1, loops.TURNS))
def test_a_loop_paused_at_any_turn_ends_the_same(
    step: int,
    expected: str,
    coordinator: Coordinator,
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that goes on, and the one that is run again from its first line."""
    go_on_when_durable(coordinator)
    assert loops.accumulating(asks_before(step + 1, coordinator, links)) == expected
    durable = coordinator.wait_for(m.Durable)
    assert durable.step == step
    monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
    turns: list[int] = []
    assert loops.accumulating(turns.append) == expected
    assert turns == list(range(step + 1, loops.TURNS + 1))
    assert coordinator.wait_for(m.Resumed).step == step
