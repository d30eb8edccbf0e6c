"""Adjust: what was said of a job changes; what it holds grows only into room that is there."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.job import Basis
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def adjust(world: World, job: int, **changes: object) -> m.Message:
    return world.command(m.Adjust(job=str(job), **changes))  # type: ignore[arg-type]


def test_a_waiting_job_that_needs_less_may_start(world: World) -> None:
    world.start(10, 0.3)
    waiting = world.submit(20, 0.3)
    answer = adjust(world, waiting, memory=8 * GIB)
    assert isinstance(answer, m.Done)
    assert answer.text == "job 2 (job2.py): 8.0 GiB of each device from now on"
    assert world.state(waiting) is JobState.STARTING


def test_a_new_priority_changes_the_place(world: World) -> None:
    running = world.start(20, 0.3)
    first, second = world.submit(20, 0.3), world.submit(20, 0.3)
    adjust(world, second, priority=50)
    world.exit(running)
    assert [world.state(job) for job in (first, second)] == [JobState.QUEUED, JobState.STARTING]


def test_a_running_job_that_gives_back_lets_another_start(world: World) -> None:
    """What the user told is never shrunk by itself: this is the way out."""
    running = world.start(20, 0.3)
    waiting = world.submit(10, 0.3)
    world.use(running, 6)
    adjust(world, running, memory=8 * GIB)
    assert world.job(running).reservations[0].memory == 8 * GIB
    assert world.state(waiting) is JobState.STARTING


def test_a_running_job_that_uses_more_than_it_now_says_is_charged_for_it(world: World) -> None:
    running = world.start(20, 0.3)
    waiting = world.submit(10, 0.3)
    adjust(world, running, memory=8 * GIB)
    assert world.state(waiting) is JobState.QUEUED


def test_a_running_job_grows_only_into_room_that_is_there(world: World) -> None:
    """Nothing changes otherwise, and the line says what is missing."""
    running = world.start(6, 0.3)
    world.start(10, 0.3)
    answer = adjust(world, running, memory=14 * GIB)
    assert isinstance(answer, m.Problem)
    assert answer.text.startswith("job 1 (job1.py) cannot be adjusted now: needs 14.0 GiB on GPU 0")
    assert world.job(running).spec.memory == 6 * GIB
    answer = adjust(world, running, memory=8 * GIB)
    assert isinstance(answer, m.Done)
    assert world.job(running).reservations[0].memory == 8 * GIB


def test_one_alone_on_its_device_grows_whatever_the_caps(world: World) -> None:
    running = world.start(6, 0.3)
    answer = adjust(world, running, memory_share=0.99)
    assert isinstance(answer, m.Done)
    assert world.job(running).reservations[0].memory > 23 * GIB


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"memory": 25 * GIB}, "is more than any device has"),
        ({"priority": 101}, "is not between -100 and 100"),
        ({"utilization": 2.0}, "a share must be more than 0"),
        ({}, "nothing of job 1 (job1.py) changes"),
    ],
)
def test_nonsense_changes_nothing(world: World, changes: dict[str, object], text: str) -> None:
    running = world.start(6, 0.3)
    before = world.job(running)
    answer = adjust(world, running, **changes)
    assert isinstance(answer, m.Problem)
    assert text in answer.text
    assert world.job(running) == before


def test_another_user_changes_nothing(world: World) -> None:
    running = world.start(6, 0.3)
    answer = world.command(m.Adjust(job=str(running), priority=-50), uid=OTHER_USER)
    assert isinstance(answer, m.Problem)
    assert world.job(running).spec.priority == 0


def test_only_the_figure_that_was_told_changes(world: World) -> None:
    """Memory that nobody told stays unknown, and may be learned and shrink."""
    running = world.start()
    before = world.job(running)
    adjust(world, running, utilization=0.2)
    after = world.job(running)
    assert after.basis is before.basis is Basis.UNKNOWN
    assert after.reservations[0].memory == before.reservations[0].memory
    assert after.reservations[0].utilization == 0.2


def test_nobody_grows_on_an_old_sample(world: World) -> None:
    running = world.start(6, 0.3)
    world.now += 60.0
    answer = adjust(world, running, memory=8 * GIB)
    assert isinstance(answer, m.Problem)
    assert "its device is not seen now" in answer.text
    assert isinstance(adjust(world, running, priority=7), m.Done)


def test_nobody_grows_into_room_that_is_set_aside(world: World) -> None:
    """It is for who has waited for it."""
    running = world.start(6, 0.3)
    world.start(6, 0.3)
    waiting = world.submit(9, 0.4)
    assert world.state(waiting) is JobState.QUEUED
    assert isinstance(adjust(world, running, memory=8 * GIB), m.Problem)
