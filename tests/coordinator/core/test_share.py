"""`--share`: utilisation does not hold a job back beside its own kind; memory always does."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def admitted(world: World, job: int) -> bool:
    return world.state(job) is JobState.STARTING


def test_it_starts_beside_jobs_of_its_user_however_busy_they_are(world: World) -> None:
    world.start(8, 0.9)
    assert not admitted(world, world.submit(2, 0.5))
    assert admitted(world, world.submit(2, 0.5, share=True))


def test_memory_holds_it_back_all_the_same(world: World) -> None:
    world.start(16, 0.9)
    assert not admitted(world, world.submit(8, 0.5, share=True))


def test_beside_another_user_only_where_both_said_it(world: World) -> None:
    world.start(8, 0.9)
    assert not admitted(world, world.submit(2, 0.5, share=True, uid=OTHER_USER))


def test_beside_another_user_who_said_it_too(world: World) -> None:
    world.start(8, 0.9, share=True)
    assert admitted(world, world.submit(2, 0.5, share=True, uid=OTHER_USER))


def test_a_program_that_nobody_knows_is_not_shared_with(world: World) -> None:
    """Who computes there did not agree."""
    world.external["GPU-0"] = (1 * GIB, 0.8)
    world.sample()
    assert not admitted(world, world.submit(2, 0.5, share=True))


def test_it_passes_a_blocked_job_of_its_user_on_memory_that_is_left(world: World) -> None:
    """What is set aside in memory stays set aside."""
    world.start(8, 0.9)
    world.submit(4, 0.9)
    assert admitted(world, world.submit(6, 0.5, share=True))
    assert not admitted(world, world.submit(6, 0.5, share=True))


def test_one_that_shares_and_needs_no_device_is_granted_once(world: World) -> None:
    """It is in two lists of those that need not wait for room."""
    world.start(20, 0.9)
    world.submit(20, 0.9)
    job = world.submit(gpus=0, share=True)
    assert len(world.got(m.Grant, world.launcher(job))) == 1


@pytest.mark.parametrize(("memory", "fits"), [(8, False), (1, True)])
def test_it_leaves_the_memory_that_others_before_it_have_a_claim_to(
    world: World, memory: int, fits: bool
) -> None:
    """However far behind the first that waits for utilisation they stand."""
    world.start(8, 0.9)
    for _ in range(6):
        world.submit(0.125, 0.5)
    world.submit(10, 0.5)
    assert admitted(world, world.submit(memory, 0.5, share=True)) is fits


def test_what_it_takes_of_what_others_claimed_may_let_another_start() -> None:
    """The device is not the nearest for the gang any more: who waits behind may have the rest."""
    world = World(24 * GIB, 16 * GIB, 16 * GIB)
    world.ill.add("GPU-2")
    world.sample()
    leaving = world.start(1, gpus=2, priority=-50)
    behind = world.submit(priority=-50)
    sharing = world.submit(priority=-50, share=True, uid=OTHER_USER)
    world.submit(6, 0.9, gpus=2, priority=50, uid=OTHER_USER)
    world.hidden.add("GPU-0")  # so that the end of the first is not believed at once
    world.sample()
    world.exit(leaving)
    world.ill.clear()
    world.sample()
    assert admitted(world, sharing)
    assert admitted(world, behind)
