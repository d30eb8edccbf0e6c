"""Which devices a job gets."""

import pytest
from tests.coordinator.core.situations import hello
from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def test_the_hole_that_is_left_is_counted_with_all_that_is_there() -> None:
    """GPU-0 has 24 - 10, GPU-1 20 - 2 - 1 left: the smaller hole is on GPU-0."""
    world = World(24 * GIB, 20 * GIB)
    world.start(10, 0.1, only=("0",))
    world.start(1, 0.1, only=("1",))
    world.external["GPU-1"] = (2 * GIB, 0.0)
    world.sample()
    assert world.job(world.submit(4, 0.1)).reservations[0].device == "GPU-0"
    assert world.job(world.submit(None, 0.1)).reservations[0].device == "GPU-1"


def test_a_share_of_memory_is_a_known_need() -> None:
    world = World(24 * GIB, 12 * GIB)
    job = world.submit(None, 0.1, memory_share=0.25)
    assert world.job(job).reservations[0].device == "GPU-1"


def test_several_devices_come_in_the_order_of_their_numbers() -> None:
    """A program counts them so, whichever has more room."""
    world = World(24 * GIB, 12 * GIB)
    job = world.submit(4, 0.1, gpus=2)
    assert world.last(m.Grant, world.launcher(job)).devices == ("GPU-0", "GPU-1")


@pytest.mark.parametrize(
    ("only", "seen"),
    [
        (None, True),
        (("0",), True),
        (("1",), False),
        (("1", "0"), True),
        (("0abc",), True),
        (("0abcdef",), True),
        (("abc",), False),
        (("0abcdef9",), False),
        ((), False),
    ],
)
def test_an_entry_is_an_index_or_the_beginning_of_a_uuid(
    only: tuple[str, ...] | None, seen: bool
) -> None:
    """A number is never the beginning of a UUID."""
    from gpurun.coordinator.core.placement import visible
    from gpurun.protocol.job import JobSpec

    spec = JobSpec(command=("x",), cwd="/", name="x", only=only)
    assert visible(spec, 0, "0abcdef") is seen
    assert not visible(JobSpec(command=("x",), cwd="/", name="x", only=("0",)), 3, "0abcdef")


def test_a_gang_waits_for_devices_that_are_not_there_any_more() -> None:
    """A GPU fell off the bus while no coordinator ran: those that are left all fit, and are few."""
    world = World(24 * GIB, 24 * GIB)
    world.start(20, 0.1)
    job = world.submit(6, 0.1, gpus=2)
    del world.totals["GPU-1"]
    world.restart()
    for known in list(world.scheduler.state.live()):
        hello(world, known.id)
    world.exit(1)
    world.sample()
    assert world.state(job) is JobState.QUEUED
    reason = world.last(m.Waiting, world.launcher(job)).reason
    assert reason.code is ReasonCode.GPUS
    assert "1 of the 2 devices that it needs are there" in reason.text


def test_a_job_goes_only_where_it_was_told_to() -> None:
    """By index or UUID; it waits there while another device is free."""
    world = World(24 * GIB, 24 * GIB)
    first = world.start(20, 0.5, on=("1",))
    assert world.job(first).reservations[0].device == "GPU-1"
    second = world.submit(20, 0.5, on=("GPU-1",))
    assert world.state(second) is JobState.QUEUED
    third = world.submit(20, 0.5)
    assert world.job(third).reservations[0].device == "GPU-0"


def test_both_the_option_and_the_callers_variable_restrict() -> None:
    world = World(24 * GIB, 24 * GIB)
    job = world.submit(20, 0.5, on=("0", "1"), only=("1",))
    assert world.job(job).reservations[0].device == "GPU-1"
