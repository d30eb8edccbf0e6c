"""In which way a job steps aside: it stands where that frees enough, and exits where it must."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.job import Way
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB

BOTH = ("stand", "exit")
PAUSED, RESUMING, RUNNING = JobState.PAUSED, JobState.RESUMING, JobState.RUNNING


def train(
    world: World, memory: int, util: float, ways: tuple[str, ...] = BOTH, **spec: object
) -> int:
    job = world.start(memory, util, **spec)
    attach(world, job, pausable=ways)
    return job


def attach(world: World, job: int, **changes: object) -> bytes:
    peer, attempt = world.peer(), world.job(job).attempt
    facts = {"pid": 4711, "pausable": BOTH} | changes
    world.say(peer, m.Attach(job=job, attempt=attempt, token="t", **facts), uid=world.job(job).uid)  # type: ignore[arg-type]
    return peer


def asked(world: World, job: int) -> m.PauseRequest:
    return world.last(m.PauseRequest, world.trainer(job))


def stand(world: World, job: int) -> None:
    """The training comes to a safe point and stands there."""
    request, attempt = asked(world, job).request, world.job(job).attempt
    said = m.Standing(job=job, attempt=attempt, token="t", request=request, step=7)
    world.say(world.trainer(job), said, uid=world.job(job).uid)
    world.sample()


def resumed(world: World, job: int) -> None:
    attempt = world.job(job).attempt
    said = m.Resumed(job=job, attempt=attempt, token="t", step=7)
    world.say(world.trainer(job), said, uid=world.job(job).uid)


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


@pytest.mark.parametrize(
    ("memory", "ways", "way"),
    [
        (4, BOTH, "stand"),
        (4, ("exit",), "exit"),
        (12, BOTH, "exit"),
    ],
)
def test_the_first_way_that_frees_enough_is_taken(
    world: World, memory: int, ways: tuple[str, ...], way: str
) -> None:
    """Standing frees time only; memory needs an exit."""
    training = train(world, 16, 0.8, ways)
    world.submit(memory, 0.5, priority=50)
    assert asked(world, training).how == way


def test_nobody_is_asked_to_stand_where_memory_is_lacking(world: World) -> None:
    training = train(world, 16, 0.8, ("stand",))
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is RUNNING


@pytest.mark.parametrize(("told", "way"), [("exit", "exit"), ("stand", "stand")])
def test_who_told_a_way_is_asked_in_that_way(world: World, told: str, way: str) -> None:
    training = train(world, 16, 0.8, pause=told)
    world.submit(4, 0.5, priority=50)
    assert asked(world, training).how == way


def test_a_light_task_runs_beside_a_training_that_stands(world: World) -> None:
    """The training keeps its process and its memory, and goes on without being spawned again."""
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    assert world.state(light) is JobState.QUEUED
    stand(world, training)
    assert world.state(training) is PAUSED
    job = world.job(training)
    assert (job.reservations[0].memory, job.reservations[0].utilization) == (16 * GIB, 0.0)
    assert job.process is not None
    assert world.state(light) is JobState.STARTING
    world.spawn(light)
    assert world.state(training) is PAUSED
    world.exit(light)
    assert world.state(training) is RESUMING
    assert world.last(m.GoOn, world.trainer(training)).request
    assert world.job(training).reservations[0].utilization == 0.8
    resumed(world, training)
    assert world.state(training) is RUNNING
    assert (world.job(training).attempt, world.job(training).pauses) == (1, 1)


def test_its_memory_stays_charged_while_it_stands(world: World) -> None:
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    late = world.submit(4, 0.1, priority=50)
    assert world.state(late) is JobState.QUEUED
    assert world.last(m.Waiting, world.launcher(late)).reason.code is ReasonCode.MEMORY


def test_it_waits_for_its_time_in_the_queue_and_says_so(world: World) -> None:
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    world.sample()
    reason = world.scheduler.state.reasons[training]
    assert reason.code is ReasonCode.UTILIZATION
    assert reason.holders == (light,)
    assert "job 1" not in reason.text, "it does not stand in its own way"


def test_of_two_ways_on_two_devices_the_one_that_frees_more_is_asked() -> None:
    """A gang lacks time on one device and memory on the other."""
    world = World(24 * GIB, 16 * GIB)
    training = train(world, 10, 0.8, gpus=2)
    world.submit(8, 0.5, gpus=2, priority=50)
    assert asked(world, training).how == "exit"


def test_a_person_gets_the_whole_device(world: World) -> None:
    """Who pauses by hand wants the device, not only its time."""
    training = train(world, 16, 0.8)
    world.command(m.Pause(job=str(training)))
    assert asked(world, training).how == "exit"


def test_a_person_gets_at_least_the_time_of_one_that_can_only_stand(world: World) -> None:
    training = train(world, 16, 0.8, ("stand",))
    world.command(m.Pause(job=str(training)))
    stand(world, training)
    assert world.state(training) is PAUSED
    assert world.job(training).held
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is RESUMING


def test_one_that_ends_while_it_stands_has_ended(world: World) -> None:
    training = train(world, 16, 0.8)
    world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.exit(training, code=1)
    assert world.state(training) is JobState.FAILED
    assert not world.job(training).charged


def test_one_that_is_cancelled_while_it_stands_ends(world: World) -> None:
    training = train(world, 16, 0.8)
    world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.command(m.Cancel(job=str(training)))
    assert world.last(m.Terminate, world.launcher(training)).job == training
    world.exit(training, code=143)
    assert world.state(training) is JobState.CANCELLED


def test_it_needs_no_launcher_to_go_on(world: World) -> None:
    """Nobody has to spawn it again."""
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    world.end_of_launcher(training)
    assert world.state(training) is PAUSED
    world.exit(light)
    assert world.state(training) is RESUMING


def test_a_new_coordinator_finds_it_standing(world: World) -> None:
    """It says so when it attaches again, and goes on when there is time."""
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    request = world.job(training).pause
    assert request is not None
    world.restart()
    attach(world, training, standing=request.request)
    assert world.job(training).stays
    world.advance(3.0)
    world.say(world.peer(), m.Exited(job=light, attempt=1, code=0))
    world.sample()
    assert world.state(training) is RESUMING


def test_one_that_trains_by_itself_is_charged_for_its_time_again(world: World) -> None:
    """It saw no coordinator for long, and went on."""
    training = train(world, 16, 0.8)
    world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.restart()
    attach(world, training)
    assert world.state(training) is RUNNING
    assert world.job(training).reservations[0].utilization == 0.8


def test_a_word_of_standing_that_nobody_asked_for_is_taken_back(world: World) -> None:
    training = train(world, 16, 0.8)
    said = m.Standing(job=training, attempt=1, token="t", request=9, step=7)
    world.say(world.trainer(training), said)
    assert world.last(m.GoOn, world.trainer(training)).request == 9
    assert world.state(training) is RUNNING


def test_standing_costs_so_little_that_no_end_is_worth_waiting_for(world: World) -> None:
    """Where an exit would take longer than the wait."""
    training = train(world, 16, 0.8, time=100.0)
    world.advance(95.0)
    world.submit(4, 0.5, priority=50)
    assert world.state(training) is JobState.PAUSING
    assert world.job(training).pause.how is Way.STAND  # type: ignore[union-attr]


def test_another_users_task_takes_it_from_the_budget(world: World) -> None:
    training = train(world, 16, 0.8)
    world.advance(1000.0)
    light = world.submit(4, 0.5, priority=50, uid=OTHER_USER, time=60.0)
    stand(world, training)
    world.spawn(light)
    world.advance(60.0)
    world.exit(light)
    resumed(world, training)
    ((began, ended),) = world.job(training).away
    assert ended - began == pytest.approx(60.0)


def test_why_shows_that_it_lacks_time_only(world: World) -> None:
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    lines = why_text(world.scheduler.state, world.job(training)).splitlines()
    assert "    memory: it stands there and holds what it needs" in lines
    assert lines[3].endswith("+ this job 80 % = 130 % > 90 %")


def test_one_that_takes_more_memory_while_it_stands_is_charged_for_it(world: World) -> None:
    """A prefetching thread, perhaps: it is reported as at any time."""
    training = train(world, 8, 0.8)
    world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.use(training, 12)
    assert world.job(training).incidents == 1
    assert world.state(training) is PAUSED


def test_what_it_needs_to_go_on_can_be_adjusted(world: World) -> None:
    """Its memory is held all the while, and grows only into room that is there."""
    training = train(world, 8, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    assert isinstance(world.command(m.Adjust(job=str(training), memory=20 * GIB)), m.Problem)
    assert isinstance(world.command(m.Adjust(job=str(training), memory=9 * GIB)), m.Done)
    assert world.job(training).reservations[0].memory == 9 * GIB
    assert world.state(training) is PAUSED
    world.command(m.Adjust(job=str(training), utilization=0.3))
    assert world.state(training) is RESUMING
    assert world.job(training).reservations[0].utilization == 0.3


def test_one_whose_process_has_ended_does_not_go_on(world: World) -> None:
    """Its launcher has not said yet how."""
    training = train(world, 16, 0.8)
    light = world.submit(4, 0.5, priority=50)
    stand(world, training)
    world.spawn(light)
    world.end_of_process(training)
    world.exit(light)
    assert world.state(training) is PAUSED
    world.exit(training, code=1)
    assert world.state(training) is JobState.FAILED


def test_a_way_that_is_not_offered_is_named_to_who_asks_by_hand(world: World) -> None:
    training = train(world, 16, 0.8, ("exit",), pause="stand")
    answer = world.command(m.Pause(job=str(training)))
    assert isinstance(answer, m.Problem)
    assert answer.text.endswith("cannot be paused: --pause stand is not what its SDK offers")
