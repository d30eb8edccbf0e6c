"""Standing: at a safe point the training keeps all that it has and computes nothing."""

import pytest
from tests.sdk.asking import asks_before
from tests.sdk.coordinator_double import (
    ATTEMPT,
    JOB,
    TOKEN,
    Coordinator,
    mortal_process,
    replaced_at,
)
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.protocol import messages as m
from gpurun.sdk import resting
from gpurun.sdk.link import Link

STEPS = 9


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the training that nobody interrupts."""
    return sdk.run(Tiny, steps=STEPS).digest


@pytest.mark.parametrize("step", range(1, STEPS))
def test_it_goes_on_as_if_nothing_had_been(
    step: int, expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    """It says where it stands and that it goes on, and writes no checkpoint."""
    coordinator.on(m.Standing, lambda heard: m.GoOn(job=JOB, request=heard.request))
    hook = asks_before(step, coordinator, links, how="stand")
    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    coordinator.wait_for(m.Detach)
    kinds = [type(message) for message in coordinator.talk]
    assert kinds == [m.Hello, m.Attach, m.Standing, m.Resumed, m.Detach]
    (standing,) = coordinator.of(m.Standing)
    assert (standing.job, standing.attempt, standing.token) == (JOB, ATTEMPT, TOKEN)
    assert (standing.step, coordinator.of(m.Resumed)[-1].step) == (step, step)


def test_it_computes_nothing_until_it_is_told_to(
    coordinator: Coordinator, links: list[Link]
) -> None:
    asks, done = asks_before(3, coordinator, links, how="stand"), []

    def hook(now: int) -> None:
        asks(now)
        done.append(now)

    def release(heard: m.Standing) -> m.Message:
        done.append(-1)
        return m.GoOn(job=JOB, request=heard.request)

    coordinator.on(m.Standing, release)
    sdk.run(Tiny, {"before_step": hook}, steps=STEPS)
    assert done == [0, 1, 2, -1, *range(3, STEPS)]


def test_a_request_that_comes_too_late_is_not_obeyed(
    expected: str, coordinator: Coordinator, links: list[Link]
) -> None:
    hook = asks_before(3, coordinator, links, seconds=-1, how="stand")
    assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
    coordinator.wait_for(m.Overdue)
    assert coordinator.of(m.Standing) == []


def test_a_coordinator_that_returns_is_told_that_it_stands(
    expected: str, under_gpurun: dict[str, str], links: list[Link]
) -> None:
    """And its word lets it go on."""
    with replaced_at(m.Standing, under_gpurun["GPURUN_SOCKET"], "standing") as double:
        hook = asks_before(3, double, links, how="stand")
        assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
        assert double.of(m.Attach)[-1].standing == 4


def test_beside_a_dead_coordinator_it_stands_for_a_while_only(
    expected: str,
    under_gpurun: dict[str, str],
    links: list[Link],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then it trains on as if never asked."""
    monkeypatch.setattr(resting, "GRACE", 0.3)
    with mortal_process() as process:
        double = Coordinator(under_gpurun["GPURUN_SOCKET"], process.pid)

        def die(_: m.Standing) -> None:
            double.stop()
            process.kill()

        double.on(m.Standing, die)
        hook = asks_before(3, double, links, how="stand")
        with double:
            assert sdk.run(Tiny, {"before_step": hook}, steps=STEPS).digest == expected
