"""Who is granted nothing though there is room, and why."""

from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def full_world() -> tuple[World, int]:
    """A device that one job fills."""
    world = World(24 * GIB)
    return world, world.start(20, 0.9)


def test_a_blocked_gang_keeps_the_devices_that_are_free_for_it() -> None:
    """A job behind it may not take the one it has; all or nothing would never come together."""
    world = World(24 * GIB, 24 * GIB)
    holder = world.start(20, 0.1, only=("0",))
    gang = world.submit(20, 0.1, gpus=2)
    behind = world.submit(20, 0.1)
    assert world.last(m.Waiting, world.launcher(behind)).reason.code is ReasonCode.SET_ASIDE
    reason = world.last(m.Waiting, world.launcher(gang)).reason
    assert reason.text.startswith("1 of the 2 devices it needs are free; needs 20.0 GiB on GPU 0")
    world.exit(holder)
    assert world.state(gang) is JobState.STARTING


def test_a_job_whose_launcher_has_not_said_hello_is_granted_nothing() -> None:
    """Two seconds are waited for it, not a moment longer; nobody would take the lease."""
    world = World(24 * GIB)
    holder = world.start(20, 0.9)
    silent = world.submit(6, 0.1)
    world.restart()
    newcomer = world.submit(6, 0.1)
    world.now += 1.9
    world.end_of_launcher(holder)
    world.end_of_process(holder)
    world.sample()
    assert world.state(newcomer) is JobState.QUEUED
    world.now += 0.1
    world.sample()
    assert world.state(newcomer) is JobState.STARTING
    assert world.state(silent) is JobState.QUEUED


def test_a_job_without_any_device_waits_with_the_drivers_own_words() -> None:
    """The devices went away after it was taken in."""
    from gpurun.coordinator.core.events import SampleEvent

    world = World(24 * GIB)
    world.start(20, 0.9)
    waiting = world.submit(20, 0.9)
    for problem, text in (("the driver is gone", "the driver is gone"), ("", "no device that it")):
        world.scheduler.state.devices.clear()
        event = SampleEvent(at=world.instant, taken=world.now, devices=(), problem=problem)
        world.handle(event)
        reason = world.last(m.Waiting, world.launcher(waiting)).reason
        assert reason.code is ReasonCode.NO_DEVICE
        assert reason.text.startswith(text)


def test_a_job_whose_process_has_ended_is_not_asked_to_step_aside() -> None:
    """Its launcher has not said so yet; its room comes without a pause."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.end_of_process(training)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING


def test_a_pass_is_done_once_for_each_reason_to_do_one() -> None:
    world, _ = full_world()
    world.submit(20, 0.5)
    assert not world.scheduler.state.pass_wanted
