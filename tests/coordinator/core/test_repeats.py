"""Everything may be said twice, late, or by one who was away: nothing ends or hangs by it."""

import pytest
from tests.coordinator.core.situations import hello, stepping_aside
from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobState
from gpurun.protocol.quantity import GIB


def test_the_end_of_a_tree_said_twice_is_no_end_of_the_job() -> None:
    world, training, exited = stepping_aside()
    world.say(hello(world, training), exited)
    assert world.state(training) is JobState.PAUSING
    world.sample()
    assert world.state(training) is JobState.PAUSED
    world.say(hello(world, training), exited)
    assert world.state(training) is JobState.PAUSED
    assert world.got(m.Paused, world.launcher(training))


def test_a_spawn_said_again_after_the_end_brings_nothing_back() -> None:
    world, training, _ = stepping_aside()
    spawned = m.Spawned(job=training, attempt=1, pid=4711, start_time=1)
    world.say(world.launcher(training), spawned)
    assert world.job(training).process is None
    world.sample()
    world.say(world.launcher(training), spawned)
    assert world.state(training) is JobState.PAUSED


def test_leaving_before_the_device_is_seen_free_keeps_it_charged() -> None:
    world, training, _ = stepping_aside()
    world.say(world.launcher(training), m.Leave(job=training))
    assert world.state(training) is JobState.CANCELLED
    assert world.job(training).charged
    world.sample()
    assert not world.job(training).charged


@pytest.mark.parametrize("loss", ["seen", "after a restart"])
def test_an_ended_tree_without_its_launcher_is_lost(loss: str) -> None:
    """Nobody is left to start it again; without a process it cannot live on."""
    world, training, _ = stepping_aside()
    if loss == "seen":
        world.end_of_launcher(training)
    else:
        world.restart(alive=frozenset())
    assert world.state(training) is JobState.LOST
    assert world.job(training).checkpoint


def test_a_resumption_whose_launcher_died_meanwhile_is_lost() -> None:
    world, training, _ = stepping_aside()
    world.sample()
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is JobState.RESUMING
    world.restart(alive=frozenset())
    assert world.state(training) is JobState.LOST


def test_a_training_at_rest_whose_launcher_died_meanwhile_goes_on() -> None:
    """Nobody would end its tree: it must not stand still for ever."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.durable(training, request)
    process = world.job(training).process
    assert process is not None
    world.restart(alive=frozenset([process]))
    assert world.state(training) is JobState.RUNNING
    assert world.job(training).launcher is None
    peer = world.peer()
    rests = m.Attach(
        pid=4711, job=training, attempt=1, token="t", pausable=("exit",), resting=request
    )
    world.say(peer, rests)
    assert world.got(m.GoOn, peer)


def test_a_training_that_speaks_before_its_launcher_does_has_used_its_lease() -> None:
    world, training, _ = stepping_aside()
    world.sample()
    world.command(m.Resume(job=str(training)))
    world.say(world.attach(training), m.Resumed(job=training, attempt=2, token="t", step=7))
    assert world.state(training) is JobState.RUNNING
    world.advance(10.0)
    assert world.job(training).charged, "the lease does not lapse"
    spawned = m.Spawned(job=training, attempt=2, pid=4711, start_time=1)
    world.say(world.launcher(training), spawned)
    assert world.state(training) is JobState.RUNNING
    assert world.watches() == {world.job(training).process}


@pytest.mark.parametrize(
    ("message", "state"),
    [
        (m.Exited(job=1, attempt=1, code=0), JobState.FINISHED),
        (m.Exited(job=1, attempt=1, code=3), JobState.FAILED),
        (m.SpawnFailed(job=1, attempt=1, code=127), JobState.FAILED),
    ],
)
def test_an_end_under_a_lease_that_has_lapsed_is_the_end(
    message: m.Message, state: JobState
) -> None:
    """It was used in time; the words for it were all late."""
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    world.advance(10.0)
    assert world.state(job) is JobState.QUEUED
    world.say(world.launcher(job), message)
    assert world.state(job) is state


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_an_end_of_what_never_began_ends_nothing(attempt: int) -> None:
    world = World(24 * GIB)
    world.start(20, 0.9)
    waiting = world.submit(20, 0.9)
    peer = world.launcher(waiting)
    for message in (
        m.Exited(job=waiting, attempt=attempt, code=0),
        m.SpawnFailed(job=waiting, attempt=attempt, code=126),
        m.Spawned(job=waiting, attempt=attempt, pid=4711, start_time=1),
    ):
        world.say(peer, message)
    assert world.state(waiting) is JobState.QUEUED
    assert not world.got(m.Ended, peer)


def test_a_lapsed_lease_is_remembered_by_the_next_coordinator() -> None:
    """What the launcher holds under it is charged, whoever hears of it."""
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    world.advance(10.0)
    world.restart()
    hello(world, job, Held(job=job, attempt=1, pid=4711, start_time=1))
    assert world.state(job) is JobState.RUNNING
    assert world.job(job).reservations[0].memory == 20 * GIB


def test_a_lease_that_was_given_back_cannot_be_used_any_more() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    launcher = world.launcher(job)
    world.command(m.Pause(job=str(world.submit(20, 0.5))))
    world.advance(10.0)
    world.command(m.Pause(job=str(job)))
    world.say(launcher, m.AskAgain(job=job, attempt=1))
    world.say(launcher, m.Spawned(job=job, attempt=1, pid=4711, start_time=1))
    assert world.state(job) is JobState.QUEUED


def test_a_cancellation_reaches_a_launcher_that_was_away() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.5)
    world.command(m.Cancel(job=str(job), grace=3.0))
    world.restart()
    process = world.job(job).process
    assert process is not None
    held = Held(job=job, attempt=1, pid=process.pid, start_time=process.start_time)
    peer = hello(world, job, held)
    assert [terminate.grace for terminate in world.got(m.Terminate, peer)] == [3.0]


@pytest.mark.parametrize(
    ("asked", "told"), [(-1.0, 0.0), (float("nan"), 0.0), (float("inf"), 86400.0), (5.0, 5.0)]
)
def test_a_grace_is_a_span_that_a_clock_can_hold(asked: float, told: float) -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.5)
    world.command(m.Cancel(job=str(job), grace=asked))
    assert world.last(m.Terminate, world.launcher(job)).grace == told
