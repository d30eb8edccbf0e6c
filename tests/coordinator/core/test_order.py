"""Who goes next: priority, then age; and those who have waited long, or gave way."""

from tests.coordinator.core.world import World

from gpurun.coordinator.core.settings import Pausing, Queueing, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def world_of(*devices: int, ageing: float = 300.0, drain_after: float = 600.0) -> World:
    queue, pause = Queueing(ageing=ageing, drain_after=drain_after), Pausing(min_run=0.0)
    return World(*devices, settings=Settings(queue=queue, pause=pause))


def test_waiting_counts_like_priority() -> None:
    """A low one that has waited for long goes before a normal one that has just come."""
    world = world_of(24 * GIB, ageing=10.0)
    running = world.start(20, 0.5)
    low = world.submit(20, 0.5, priority=-50)
    world.advance(501.0)
    normal = world.submit(20, 0.5)
    world.exit(running)
    assert world.state(low) is JobState.STARTING
    assert world.state(normal) is JobState.QUEUED


def test_a_step_of_priority_is_worth_as_long_as_the_configuration_says_and_no_longer() -> None:
    world = world_of(24 * GIB, ageing=10.0)
    running = world.start(20, 0.5)
    low = world.submit(20, 0.5, priority=-50)
    world.advance(499.0)
    normal = world.submit(20, 0.5)
    world.exit(running)
    assert world.state(low) is JobState.QUEUED
    assert world.state(normal) is JobState.STARTING


def test_who_gave_way_goes_on_before_others_of_its_kind_begin() -> None:
    """However long they have waited: it has its place back."""
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    equal = world.submit(20, 0.5)
    world.advance(100.0)
    light = world.submit(20, 0.5, priority=50, time=10.0)
    world.capture(training)
    world.spawn(light)
    world.exit(light)
    assert world.state(training) is JobState.RESUMING
    assert world.state(equal) is JobState.QUEUED


def test_who_gave_way_does_not_go_before_those_of_higher_priority() -> None:
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    light = world.submit(20, 0.5, priority=50, time=10.0)
    world.capture(training)
    world.spawn(light)
    higher = world.submit(20, 0.5, priority=1, time=10.0)
    world.exit(light)
    assert world.state(training) is JobState.PAUSED
    assert world.state(higher) is JobState.STARTING


def test_the_room_that_a_pause_frees_is_for_whom_it_was_made() -> None:
    """Also where another of higher priority has come meanwhile."""
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    light = world.submit(20, 0.5, priority=10, time=10.0)
    request = world.request(training)
    world.durable(training, request)
    later = world.submit(20, 0.5, priority=50, time=10.0)
    world.exit(training, code=137, request=request)
    assert world.state(light) is JobState.STARTING
    assert world.state(later) is JobState.QUEUED


def test_a_gang_that_has_waited_for_long_keeps_others_from_all_that_it_needs() -> None:
    """Single jobs could pass it for ever on the devices on which it does not wait first."""
    world = world_of(24 * GIB, 24 * GIB, drain_after=600.0)
    running = [world.start(20, 0.5) for _ in range(2)]
    gang = world.submit(20, 0.5, gpus=2)
    passing = world.start(1, 0.1)
    assert world.job(passing).reservations[0].device == "GPU-1", "only GPU-0 is kept free"
    world.advance(601.0)
    late = world.submit(0.01, 0.1)
    assert world.state(late) is JobState.QUEUED
    for job in (*running, passing):
        world.exit(job)
    assert world.state(gang) is JobState.STARTING


def test_two_gangs_never_hold_what_the_other_waits_for() -> None:
    """All or nothing: the first takes both devices, then the second does."""
    world = world_of(24 * GIB, 24 * GIB)
    single = world.start(20, 0.5)
    gangs = [world.submit(20, 0.5, gpus=2) for _ in range(2)]
    assert [world.job(gang).charged for gang in gangs] == [False, False]
    world.exit(single)
    assert [world.state(gang) for gang in gangs] == [JobState.STARTING, JobState.QUEUED]
    world.spawn(gangs[0])
    world.exit(gangs[0])
    assert world.state(gangs[1]) is JobState.STARTING


def test_those_far_behind_wait_for_those_ahead_and_are_told_how_many() -> None:
    """A pass does not look at each of a thousand: nothing is left for them."""
    world = world_of(24 * GIB)
    world.start(20, 0.9)
    jobs = [world.submit(20, 0.9) for _ in range(30)]
    waiting = world.last(m.Waiting, world.launcher(jobs[-1]))
    assert waiting.reason.code is ReasonCode.AHEAD
    assert waiting.ahead == 29


def test_a_gang_that_lacks_a_healthy_device_keeps_nobody_from_the_others() -> None:
    """One of its two is lost, perhaps for good; it starts when that is back."""
    world = world_of(24 * GIB, 24 * GIB)
    world.ill.add("GPU-1")
    world.sample()
    gang = world.submit(20, 0.5, gpus=2)
    assert world.state(gang) is JobState.QUEUED
    single = world.start(20, 0.5)
    world.ill.clear()
    world.exit(single)
    assert world.state(gang) is JobState.STARTING


def test_the_kernels_word_of_an_end_lets_those_behind_pass_elsewhere() -> None:
    """Who waits first now waits for the room that is about to come, and not on the other device."""
    world = world_of(24 * GIB, 16 * GIB)
    small = world.start(10, 0.5, on=("1",))
    large = world.start(20, 0.5, on=("0",))
    waiting = world.submit(8, 0.3)
    behind = world.submit(3, 0.3)
    assert [world.state(job) for job in (waiting, behind)] == [JobState.QUEUED] * 2
    world.end_of_process(large)
    assert world.state(waiting) is JobState.QUEUED, "not seen free yet"
    assert world.state(behind) is JobState.STARTING
    assert world.job(behind).reservations[0].device == world.job(small).reservations[0].device
