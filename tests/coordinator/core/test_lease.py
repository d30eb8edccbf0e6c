"""A grant reserves at once, for a few seconds; what it says and what it forgets."""

from tests.coordinator.core.world import World

from gpurun.coordinator.core.job import Basis
from gpurun.coordinator.core.settings import Limits, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def test_a_grant_says_what_is_reserved_where_and_until_when() -> None:
    world = World(24 * GIB, 16 * GIB)
    job = world.submit(6, 0.4, gpus=2)
    assert world.last(m.Grant, world.launcher(job)) == m.Grant(
        job=job,
        attempt=1,
        deadline=world.now + 5.0,
        devices=("GPU-0", "GPU-1"),
        token="",
        memory=6 * GIB,
        utilization=0.4,
        basis="told",
        place="GPU 0 (Scripted), GPU 1 (Scripted)",
        resume="",
    )
    assert world.job(job).granted == 6 * GIB


def test_the_grant_of_a_job_without_devices_names_none() -> None:
    world = World(24 * GIB)
    grant = world.last(m.Grant, world.launcher(world.submit(gpus=0)))
    assert (grant.devices, grant.memory, grant.utilization) == ((), 0, 0.0)
    assert (grant.place, grant.basis) == ("no GPU", "told")


def test_a_grant_is_repeated_when_its_device_is_not_known_any_more() -> None:
    """The driver may have died in between; the lease holds all the same."""
    world = World(24 * GIB)
    job = world.submit(6, 0.4, uuid="same")
    world.scheduler.state.devices.clear()
    world.submit(6, 0.4, uuid="same")
    grant = world.last(m.Grant, world.launcher(job))
    assert (grant.devices, grant.place) == (("GPU-0",), "no GPU")


def test_a_lease_goes_back_seven_seconds_after_the_grant_and_no_sooner() -> None:
    """Five to be used, two more for the word of it to arrive."""
    world = World(24 * GIB)
    job = world.submit(6, 0.4)
    world.advance(6.99)
    assert world.state(job) is JobState.STARTING
    world.advance(0.01)
    assert world.state(job) is JobState.QUEUED
    assert not world.job(job).charged
    assert world.job(job).lapsed == world.stored[job].lapsed != ()


def test_only_the_lease_that_has_run_out_goes_back() -> None:
    world = World(24 * GIB)
    first = world.submit(6, 0.1)
    world.advance(4.0)
    second = world.submit(6, 0.1)
    world.advance(3.5)
    assert (world.state(first), world.state(second)) == (JobState.QUEUED, JobState.STARTING)


def test_a_new_grant_forgets_the_lapsed_one_and_what_the_last_attempt_could_do() -> None:
    """Only its own SDK knows how a new attempt can be paused."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Resume(job=str(training)))
    world.advance(10.0)
    assert world.job(training).lapsed
    world.say(world.launcher(training), m.AskAgain(job=training, attempt=2))
    job = world.job(training)
    assert (job.attempt, job.lapsed, job.pausable) == (3, None, None)
    assert job.basis is Basis.TOLD


def test_who_refused_is_not_asked_by_the_scheduler_in_that_attempt_but_by_a_person() -> None:
    """What stood in the way may be gone: a person knows, the scheduler would ask for ever."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    refused = m.Refused(job=training, attempt=1, token="t", request=request, text="disk full")
    world.say(world.trainer(training), refused)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING
    world.command(m.Pause(job=str(training)))
    assert world.state(training) is JobState.PAUSING


def test_a_grant_starts_a_new_window() -> None:
    world = World(24 * GIB)
    device = world.scheduler.state.devices["GPU-0"]
    world.external["GPU-0"] = (GIB, 0.2)
    world.advance(1.0)
    assert device.window is not None
    world.submit(6, 0.4)
    assert device.window is None


def test_a_reason_is_said_again_after_a_lease_came_and_went() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.4)
    launcher = world.launcher(job)
    world.advance(10.0)
    said = len(world.got(m.Waiting, launcher))
    world.say(launcher, m.AskAgain(job=job, attempt=1))
    world.advance(10.0)
    assert len(world.got(m.Waiting, launcher)) == said + 1


def test_a_used_lapsed_lease_is_lapsed_no_more() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    launcher = world.launcher(job)
    world.advance(10.0)
    world.say(launcher, m.Spawned(job=job, attempt=1, pid=4242, start_time=1))
    assert world.job(job).lapsed is None


def test_a_grant_says_the_limit_only_where_limits_are_enforced() -> None:
    """What was reserved on each device."""
    for enforce, limit in ((False, 0), (True, 6 * GIB)):
        world = World(24 * GIB, settings=Settings(limits=Limits(enforce=enforce)))
        job = world.submit(6, 0.1)
        assert world.last(m.Grant, world.launcher(job)).limit == limit
