"""The coordinator dies at any instant: no job is lost, no device is booked twice."""

from tests.coordinator.core.world import World

from gpurun.coordinator.core.effects import WatchJob, WatchLauncher
from gpurun.coordinator.core.events import RestartEvent
from gpurun.coordinator.core.job import Process
from gpurun.coordinator.core.reasons import reason_of
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobSpec, JobState
from gpurun.protocol.quantity import GIB


def hello(world: World, job: int, *, holds: bool = False) -> None:
    """The launcher of a job says hello to the new coordinator."""
    known = world.stored[job]
    held = None
    if holds and known.process is not None:
        held = Held(
            job=job,
            attempt=known.attempt,
            pid=known.process.pid,
            start_time=known.process.start_time,
        )
    message = m.Submit(uuid=known.uuid, spec=known.spec, held=held)
    world.say(world.peer(), message, sender=known.launcher)


def test_every_job_is_found_again_with_its_reservation() -> None:
    world = World(24 * GIB)
    running = world.start(10, 0.3)
    waiting = world.submit(20, 0.3)
    world.restart()
    assert world.state(running) is JobState.RUNNING
    assert world.job(running).charged
    assert world.state(waiting) is JobState.QUEUED


def test_nothing_is_admitted_until_the_launchers_that_live_have_said_hello() -> None:
    world = World(24 * GIB)
    running = world.start(10, 0.3)
    waiting = world.submit(20, 0.3)
    world.restart()
    newcomer = world.submit(4, 0.1)
    assert world.state(newcomer) is JobState.QUEUED
    hello(world, running, holds=True)
    hello(world, waiting)
    assert world.state(newcomer) is JobState.QUEUED, "its room is set aside for the blocked one"
    world.exit(running)
    assert world.state(waiting) is JobState.STARTING


def test_a_launcher_that_never_says_hello_holds_nobody_up_for_more_than_two_seconds() -> None:
    world = World(24 * GIB)
    world.start(10, 0.3)
    world.restart()
    newcomer = world.submit(4, 0.1)
    world.advance(2.1)
    assert world.state(newcomer) is JobState.STARTING


def test_the_jobs_that_are_gone_are_found_out_at_once() -> None:
    world = World(24 * GIB)
    running = world.start(10, 0.3)
    waiting = world.submit(20, 0.3)
    world.restart(alive=frozenset())
    assert world.state(running) is JobState.LOST
    assert world.state(waiting) is JobState.CANCELLED
    assert not world.job(running).charged


def test_a_spawn_that_the_dead_coordinator_never_heard_of_is_taken_over() -> None:
    world = World(24 * GIB)
    job = world.submit(10, 0.3)
    world.restart()
    known = world.stored[job]
    held = Held(job=job, attempt=1, pid=4711, start_time=1)
    world.say(
        world.peer(), m.Submit(uuid=known.uuid, spec=known.spec, held=held), sender=known.launcher
    )
    assert world.state(job) is JobState.RUNNING
    assert world.job(job).process == Process(4711, 1)


def test_an_end_that_the_dead_coordinator_never_heard_of_is_heard_now() -> None:
    world = World(24 * GIB)
    job = world.start(10, 0.3)
    world.restart()
    hello(world, job, holds=True)
    world.exit(job, code=3)
    assert world.state(job) is JobState.FAILED
    assert world.job(job).exit_code == 3


def test_a_training_at_rest_is_ended_by_the_new_coordinator() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.durable(training, request)
    world.restart()
    hello(world, training, holds=True)
    assert world.last(m.EndTree, world.launcher(training)).request == request
    world.exit(training, code=137, request=request)
    assert world.state(training) is JobState.PAUSED
    assert world.job(training).held


def test_a_training_that_came_to_rest_meanwhile_says_so_and_is_ended() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.restart()
    hello(world, training, holds=True)
    attach = m.Attach(
        pid=4711,
        job=training,
        attempt=1,
        token="t",
        pausable=("exit",),
        resting=request,
        checkpoint="/c/1",
    )
    world.say(world.peer(), attach)
    assert world.last(m.EndTree, world.launcher(training)).request == request
    assert world.job(training).checkpoint == "/c/1"


def test_a_training_that_went_on_alone_is_asked_anew() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    world.restart()
    hello(world, training, holds=True)
    world.attach(training)
    assert world.got(m.PauseRequest, world.trainer(training))


def test_a_paused_job_is_still_paused_and_comes_back() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.restart()
    hello(world, training)
    assert world.state(training) is JobState.PAUSED
    world.command(m.Resume(job=str(training)))
    assert world.last(m.Grant, world.launcher(training)).resume


def test_job_numbers_never_come_back() -> None:
    world = World(24 * GIB)
    first = world.start(10, 0.3)
    world.exit(first)
    world.restart()
    assert world.submit(1, 0.1) > first


def test_a_resubmitted_job_that_has_ended_is_told_so() -> None:
    world = World(24 * GIB)
    job = world.start(10, 0.3, uuid="same")
    world.exit(job)
    world.restart()
    peer = world.peer()
    spec = JobSpec(command=("python", "x"), cwd="/", name="x")
    world.say(peer, m.Submit(uuid="same", spec=spec))
    assert world.got(m.Ended, peer)
    assert world.state(job) is JobState.FINISHED


def test_what_has_ended_and_was_not_yet_seen_gone_is_still_charged() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    stuck = world.stored[job]
    assert stuck.charged
    scheduler = Scheduler(world.settings)
    restart = RestartEvent(at=world.instant, jobs=(stuck,), alive=frozenset())
    scheduler.handle(restart)
    assert [found.id for found in scheduler.state.charged()] == [job]


def test_a_process_that_ended_meanwhile_frees_its_device_before_its_launcher_speaks() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    launcher = world.job(job).launcher
    assert launcher is not None
    scheduler = Scheduler(world.settings)
    restart = RestartEvent(at=world.instant, jobs=(world.stored[job],), alive=frozenset([launcher]))
    scheduler.handle(restart)
    assert scheduler.state.jobs[job].left == world.now
    both = frozenset(p for p in (launcher, world.job(job).process) if p is not None)
    again = Scheduler(world.settings)
    again.handle(RestartEvent(at=world.instant, jobs=(world.stored[job],), alive=both))
    assert again.state.jobs[job].left is None


def test_nobody_watches_what_is_lost() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    scheduler = Scheduler(world.settings)
    restart = RestartEvent(at=world.instant, jobs=(world.stored[job],), alive=frozenset())
    effects = scheduler.handle(restart)
    assert not [effect for effect in effects if isinstance(effect, WatchJob | WatchLauncher)]


def test_a_request_number_is_not_given_twice_across_coordinators() -> None:
    """A late word about the old one must not be taken for the new one."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    first = world.request(training)
    world.restart()
    hello(world, training, holds=True)
    world.attach(training)
    world.command(m.Resume(job=str(training)))
    world.command(m.Pause(job=str(training)))
    assert world.request(training) == first + 1


def test_who_waits_for_others_to_say_hello_is_told_that() -> None:
    """Nobody is ahead of it: a new coordinator has just started."""
    world = World(24 * GIB)
    world.start(16, 0.5)
    waiting = world.submit(16, 0.5)
    first = world.job(waiting)
    world.restart()
    message = m.Submit(uuid=first.uuid, spec=first.spec)
    world.say(world.peer(), message, sender=first.launcher)
    reason = reason_of(world.scheduler.state, world.job(waiting))
    assert reason is not None
    assert reason.text == "a new coordinator first hears from those that run already"
    world.advance(3.0)
    later = reason_of(world.scheduler.state, world.job(waiting))
    assert later is not None
    assert later.text.startswith("needs 16.0 GiB")
