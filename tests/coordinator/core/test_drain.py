"""Drain: nothing new is admitted; what runs goes on."""

import pytest
from tests.coordinator.core.world import World

from gpurun.coordinator.core.effects import Keep
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def kept(world: World) -> list[tuple[str, str]]:
    return [(e.key, e.value) for e in world.effects if isinstance(e, Keep)]


def test_a_drained_machine_admits_nothing_and_says_why(world: World) -> None:
    """Also not to those that waited before."""
    running = world.start(20, 0.5)
    before = world.submit(20, 0.5)
    answer = world.command(m.Drain(on=True))
    assert isinstance(answer, m.Done)
    assert answer.text == "nothing new is admitted (1 job still here); gpurun drain --off ends that"
    assert world.last(m.Waiting, world.launcher(before)).reason.code is ReasonCode.DRAINED
    after = world.submit(2, 0.1)
    world.exit(running)
    assert [world.state(job) for job in (before, after)] == [JobState.QUEUED] * 2
    assert world.last(m.Waiting, world.launcher(after)).reason.code is ReasonCode.DRAINED


def test_it_is_written_down_both_ways(world: World) -> None:
    """A coordinator that is started after the reboot must know."""
    world.command(m.Drain(on=True))
    assert kept(world) == [("drained", "yes")]
    job = world.submit(2, 0.1)
    answer = world.command(m.Drain(on=False))
    assert kept(world) == [("drained", "")]
    assert isinstance(answer, m.Done)
    assert answer.text == "jobs are admitted again"
    assert world.state(job) is JobState.STARTING


def test_no_training_is_asked_to_step_aside_for_who_is_not_admitted(world: World) -> None:
    training = world.train(20, 0.5)
    world.command(m.Drain(on=True))
    world.submit(20, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING


def test_a_paused_training_waits_too(world: World) -> None:
    training = world.train(20, 0.5)
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Drain(on=True))
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is JobState.PAUSED
    world.command(m.Drain(on=False))
    assert world.state(training) is JobState.RESUMING
