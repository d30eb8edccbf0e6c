"""What the kernel reports: ends of processes and of launchers, in whatever order they come."""

import msgspec
from tests.coordinator.core.world import World

from gpurun.coordinator.core.events import JobProcessEndEvent, LauncherEndEvent, SampleEvent
from gpurun.coordinator.core.job import Process
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB

OTHER = Process(1, 1)


def look(world: World, *devices: DeviceSample, earlier: float = 0.0) -> None:
    """The monitor sees these, so many seconds ago."""
    world.handle(SampleEvent(at=world.instant, taken=world.now - earlier, devices=devices))


def test_an_end_that_its_launcher_has_yet_to_explain_makes_the_device_free_at_once() -> None:
    """A stopped launcher says nothing for hours; the next job does not wait for it."""
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    waiting = world.submit(20, 0.9)
    world.end_of_process(job)
    assert world.wants_sample()
    assert world.state(job) is JobState.RUNNING
    look(world, world.device("GPU-0", without=job))
    assert not world.job(job).charged
    assert world.state(waiting) is JobState.STARTING
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=4))
    assert world.state(job) is JobState.FAILED
    assert world.job(job).exit_code == 4


def test_ends_of_what_is_not_the_jobs_mean_nothing() -> None:
    """Its last attempt's process, its old launcher, a job that nobody knows."""
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    before = world.job(job)
    for number in (job, 99):
        world.handle(JobProcessEndEvent(at=world.instant, job=number, process=OTHER))
        world.handle(LauncherEndEvent(at=world.instant, job=number, process=OTHER))
    assert world.job(job) == before


def test_ends_after_the_end_mean_nothing() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    before = world.job(job)
    assert before.charged
    world.end_of_process(job)
    world.end_of_launcher(job)
    assert world.job(job) == before


def test_a_launcher_that_ends_after_its_process_without_a_word_loses_the_job() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.end_of_process(job)
    world.end_of_launcher(job)
    assert world.wants_sample()
    assert world.state(job) is JobState.LOST


def test_a_job_that_has_lost_its_launcher_is_no_longer_told_anything() -> None:
    """And nobody waits for its hello."""
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.restart()
    assert world.scheduler.state.expected == {job}
    world.end_of_launcher(job)
    assert world.scheduler.state.expected == set()
    again = World(24 * GIB)
    job = again.start(20, 0.9)
    again.end_of_launcher(job)
    assert again.wants_sample()
    assert job not in again.scheduler.state.launchers
    assert again.job(job).launcher is None


def test_a_training_that_a_person_had_asked_goes_on_unheld_without_its_launcher() -> None:
    """Held and running would be neither."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    assert world.job(training).held
    world.end_of_launcher(training)
    assert not world.job(training).held
    assert world.job(training).pause is None


def test_a_training_that_nobody_had_asked_hears_nothing_when_its_launcher_ends() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Resume(job=str(training)))
    world.spawn(training)
    peer = world.attach(training)
    world.end_of_launcher(training)
    assert not world.got(m.GoOn, peer)
    assert world.state(training) is JobState.RESUMING


def test_a_cancelled_job_that_vanishes_was_cancelled() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.command(m.Cancel(job=str(job)))
    world.end_of_process(job)
    world.end_of_launcher(job)
    assert world.state(job) is JobState.CANCELLED


def test_room_is_believed_only_from_a_device_that_answers() -> None:
    """A device that cannot be read, or an older look, does not show that anything is gone."""
    world = World(24 * GIB, 24 * GIB)
    job = world.start(6, 0.1, gpus=2)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    first, second = (world.device(uuid, without=job) for uuid in ("GPU-0", "GPU-1"))
    sick = msgspec.structs.replace(second, health="fell off the bus", total=None, free=None)
    look(world, first, second, earlier=0.1)
    assert world.job(job).charged
    look(world, first, sick)
    assert world.job(job).charged
    look(world, first)
    assert world.job(job).charged
    look(world, second)
    assert not world.job(job).charged
    assert world.state(job) is JobState.FINISHED


def test_a_device_that_is_not_there_any_more_holds_nobody() -> None:
    world = World(24 * GIB, 24 * GIB)
    job = world.start(6, 0.1, gpus=2)
    del world.scheduler.state.devices["GPU-0"]
    world.totals.pop("GPU-0")
    world.exit(job)
    assert not world.job(job).charged


def test_a_spawn_is_looked_at_and_starts_a_new_window() -> None:
    world = World(24 * GIB)
    job = world.submit(6, 0.1)
    world.advance(2.0)
    device = world.scheduler.state.devices["GPU-0"]
    assert device.window is not None
    spawned = m.Spawned(job=job, attempt=1, pid=4711, start_time=1)
    world.say(world.launcher(job), spawned)
    assert device.window is None
    assert world.wants_sample()
    assert world.watches() == {Process(4711, 1)}


def test_only_jobs_that_are_known_have_a_peak() -> None:
    """A look may still show one that has ended and was forgotten."""
    world = World(24 * GIB)
    job = world.start(6, 0.1)
    shown = world._device(0, "GPU-0")
    world.exit(job)
    look(world, shown)
    assert world.scheduler.state.seen == {}
