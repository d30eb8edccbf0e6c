"""A parked training that has to leave altogether, or cannot."""

import pytest
from tests.coordinator.core.parking import (
    PAUSED,
    PAUSING,
    QUEUED,
    RESUMING,
    RUNNING,
    asked,
    charge,
    leaving,
    park,
    parked,
    saves,
    say,
    train,
)
from tests.coordinator.core.world import World

from gpurun.coordinator.core.job import Way
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def test_where_parking_was_not_enough_it_leaves_altogether(world: World) -> None:
    """Once its checkpoint is on disk; its launcher ends it and spawns it again later."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    world.keeps[training] = 10 * GIB
    park(world, training)
    world.sample()
    saves(world, training)
    assert world.state(training) is PAUSING
    request = world.last(m.EndTree, world.launcher(training)).request
    world.exit(training, code=137, request=request)
    job = world.job(training)
    assert (job.state, job.pauses, job.process, job.reservations) == (PAUSED, 1, None, ())
    world.spawn(light)
    world.exit(light)
    assert world.last(m.Grant, world.launcher(training)).resume == f"/checkpoints/{training}/7"


def test_what_it_kept_is_remembered_also_where_it_had_to_leave(world: World) -> None:
    training = leaving(world)
    assert world.job(training).parked_memory == 10 * GIB


def test_without_its_launcher_it_is_not_ended_but_goes_on(world: World) -> None:
    """Nobody could spawn it again, and nothing else would help the one that waits for it."""
    training = leaving(world)
    world.end_of_launcher(training)
    assert Trigger.PARK in [record.trigger for record in world.records]
    job = world.job(training)
    assert (job.state, charge(world, training)) == (RESUMING, 16 * GIB)
    assert job.process is not None
    assert job.pause is not None
    assert job.pause.how is Way.PARK


def test_how_long_it_is_away_counts_from_where_it_parked(world: World) -> None:
    """Not from where it left altogether: nobody stays away for longer than `max_paused`."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    world.keeps[training] = 10 * GIB
    park(world, training)
    world.sample()
    back = world.now + world.settings.pause.max_paused
    world.advance(3000.0)
    saves(world, training)
    world.exit(training, code=137, request=asked(world, training).request)
    world.spawn(light)
    assert world.scheduler.wake_at() == back
    world.submit(16, 0.8, priority=50)
    world.advance(700.0)
    world.exit(light)
    assert world.state(training) is RESUMING


@pytest.mark.parametrize("way", ["park", "stand"])
def test_nobody_waits_for_ever_for_what_one_that_stays_keeps(world: World, way: str) -> None:
    """A claim does not keep it from going on: only then can it end, or be asked to exit."""
    training = train(world, ways=(way,))
    light = world.submit(4 if way == "stand" else 12, 0.5, priority=50)
    if way == "park":
        park(world, training, kept=GIB)
    else:
        say(world, training, m.Standing, request=asked(world, training).request, step=7)
    world.sample()
    world.spawn(light)
    big = world.submit(22, 0.9, priority=50)
    world.exit(light)
    assert (world.state(training), world.state(big)) == (RESUMING, QUEUED)


def test_one_that_may_yet_leave_is_waited_for_until_it_cannot(world: World) -> None:
    """While its checkpoint is being written it does not go on; once that has failed it does."""
    training, light = parked(world, kept=GIB)
    world.submit(22, 0.9, priority=50)
    world.exit(light)
    assert world.state(training) is PAUSED
    order = world.job(training).pause
    assert order is not None
    say(world, training, m.Unsaved, request=order.request, text="the disk is full")
    assert world.state(training) is RESUMING
    assert world.details(training, Note.UNSAVED) == ["the disk is full"]


def test_who_cannot_park_is_asked_to_exit(world: World) -> None:
    """Such as for lack of host memory: it has refused one way, not all."""
    training = train(world)
    world.submit(12, 0.5, priority=50)
    first = asked(world, training)
    say(world, training, m.Refused, request=first.request, text="host memory is short")
    world.sample()
    second = asked(world, training)
    assert (first.how, second.how) == ("park", "exit")
    say(world, training, m.Refused, request=second.request, text="the disk is full")
    world.sample()
    assert world.state(training) is RUNNING
    text = why_text(world.scheduler.state, world.job(2))
    assert "job 1 (job1.py) has refused to park and exit: the disk is full" in text


def test_who_asks_for_a_pause_while_it_leaves_is_answered(world: World) -> None:
    """And its launcher hears that it is paused."""
    training, peer = leaving(world), world.peer()
    world.say(peer, m.Pause(job=str(training)))
    world.exit(training, code=137, request=asked(world, training).request)
    assert not world.last(m.Done, peer).pending
    assert world.last(m.Paused, world.launcher(training)).text


def test_a_disk_that_was_full_once_forbids_no_later_exit(world: World) -> None:
    """What could not be saved concerns that pause."""
    training, light = parked(world)
    order = world.job(training).pause
    assert order is not None
    say(world, training, m.Unsaved, request=order.request, text="the disk is full")
    world.exit(light)
    say(world, training, m.Resumed, step=7)
    world.submit(12, 0.5, priority=50)
    world.keeps[training] = 10 * GIB
    park(world, training)
    world.sample()
    saves(world, training)
    assert world.last(m.EndTree, world.launcher(training))
