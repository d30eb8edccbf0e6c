"""What those who have waited for long have a claim to: the room that is there, not a pause's."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB

AGED = 50_000.0
"""Seconds after which a job of priority 0 goes before a new one of priority 50."""


def aged_line(number: int, memory: int) -> tuple[World, int, list[int]]:
    """A training has the device, and others have waited for it for long."""
    world = World(24 * GIB)
    training = world.train(10, 0.5)
    line = [world.submit(memory, 0.9) for _ in range(number)]
    world.advance(AGED)
    return world, training, line


@pytest.mark.parametrize("ahead", [1, 40])
def test_a_light_task_is_made_room_for_however_many_have_aged_past_it(ahead: int) -> None:
    world, training, line = aged_line(ahead, 20)
    light = world.submit(2, 0.5, priority=50, time=60.0)
    assert world.state(training) is JobState.PAUSING
    world.capture(training)
    assert world.state(light) is JobState.STARTING
    assert {world.state(job) for job in line} == {JobState.QUEUED}


def test_who_stepped_aside_goes_on_before_those_who_have_aged() -> None:
    world, training, line = aged_line(1, 20)
    light = world.submit(2, 0.5, priority=50, time=60.0)
    world.capture(training)
    world.spawn(light)
    world.exit(light)
    assert world.state(training) is JobState.RESUMING
    assert world.state(line[0]) is JobState.QUEUED


def test_free_room_belongs_to_those_who_have_aged() -> None:
    """The training holds 10 of 24 GiB; what is free beside it is claimed by who needs more."""
    world, training, line = aged_line(1, 20)
    light = world.submit(2, 0.3, priority=50, uid=OTHER_USER)  # nobody told how long it is
    assert world.state(training) is JobState.RUNNING
    assert world.state(light) is JobState.QUEUED
    world.exit(training)
    assert world.state(line[0]) is JobState.STARTING
    assert world.state(light) is JobState.QUEUED


def test_a_pause_that_frees_less_than_the_light_task_needs_is_not_asked_for() -> None:
    """Even where there would be room together with what the others claim."""
    world, training, _ = aged_line(1, 20)
    light = world.submit(12, 0.3, priority=50, time=60.0)
    assert world.state(training) is JobState.RUNNING
    assert world.state(light) is JobState.QUEUED
