"""Parking: a training's state goes to host memory, and its process waits with its context."""

import msgspec
import pytest
from tests.coordinator.core.parking import (
    PARK,
    PAUSED,
    PAUSING,
    QUEUED,
    RESUMING,
    RUNNING,
    STARTING,
    WAYS,
    asked,
    charge,
    park,
    parked,
    say,
    train,
)
from tests.coordinator.core.world import World

from gpurun.coordinator.core.admission import judge_return
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.job import PauseCost, Way
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.pausing import FIRST_COST, cost
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import ReasonCode
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


@pytest.mark.parametrize(
    ("memory", "ways", "way"),
    [
        (4, WAYS, "stand"),
        (12, WAYS, "park"),
        (12, ("exit",), "exit"),
        (21, WAYS, "exit"),
    ],
)
def test_the_first_way_that_frees_enough_is_taken(
    world: World, memory: int, ways: tuple[str, ...], way: str
) -> None:
    """Standing frees time, parking also memory but for a context, and exit all."""
    training = train(world, ways=ways)
    world.submit(memory, 0.5, priority=50)
    assert asked(world, training).how == way


@pytest.mark.parametrize(("told", "way"), [("park", "park"), ("exit", "exit")])
def test_who_told_a_way_is_asked_in_that_way(world: World, told: str, way: str) -> None:
    training = train(world, pause=told)
    world.submit(12, 0.5, priority=50)
    assert asked(world, training).how == way


def test_a_light_task_runs_in_the_memory_of_a_parked_training(world: World) -> None:
    """It is believed when it is seen, and the training goes on in the same process."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    park(world, training, kept=GIB)
    assert (world.state(training), world.state(light)) == (PAUSING, QUEUED)
    world.sample()
    assert (world.state(training), world.state(light)) == (PAUSED, STARTING)
    (held,) = world.job(training).reservations
    assert (held.memory, held.utilization) == (GIB, 0.0)
    world.spawn(light)
    world.exit(light)
    assert world.state(training) is RESUMING
    (held,) = world.job(training).reservations
    assert (held.memory, held.utilization) == (16 * GIB, 0.8)
    assert world.last(m.GoOn, world.trainer(training)).request == asked(world, training).request
    say(world, training, m.Resumed, step=7)
    job = world.job(training)
    assert (job.state, job.attempt, job.pauses) == (RUNNING, 1, 1)


def test_what_comes_back_is_looked_at_at_once(world: World) -> None:
    """Its memory is its own again, which simulated devices know from the coordinator alone."""
    training, light = parked(world)
    world.exit(light)
    assert world.state(training) is RESUMING
    say(world, training, m.Resumed, step=7)
    assert world.wants_sample()


def test_a_look_that_began_before_the_release_proves_nothing(world: World) -> None:
    training = train(world)
    world.submit(12, 0.5, priority=50)
    world.advance(1.0)
    park(world, training)
    world.sample(taken=world.now - 0.5)
    assert world.state(training) is PAUSING
    assert world.job(training).reservations[0].memory == 16 * GIB


def test_a_device_that_does_not_answer_proves_nothing(world: World) -> None:
    training = train(world)
    world.submit(12, 0.5, priority=50)
    park(world, training)
    silent = msgspec.structs.replace(world.device("GPU-0", without=0), total=None, free=None)
    world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(silent,)))
    assert world.state(training) is PAUSING
    world.sample()
    assert world.state(training) is PAUSED


def test_where_its_own_memory_is_not_told_that_of_the_device_must_have_fallen(
    world: World,
) -> None:
    """Or ten seconds have passed, in case that it held nothing."""
    training = train(world)
    world.use(training, 16)
    world.hidden.add("GPU-0")
    world.sample()
    world.submit(12, 0.5, priority=50)
    world.keeps[training] = 16 * GIB
    world.advance(1.0)
    park(world, training)
    world.sample()
    assert world.state(training) is PAUSING
    world.keeps[training] = GIB
    world.advance(1.0)
    assert world.state(training) is PAUSED


def test_it_does_not_keep_more_than_it_held(world: World) -> None:
    """Whatever it says."""
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    park(world, training, kept=30 * GIB)
    world.sample()
    assert world.job(training).reservations[0].memory == 16 * GIB


def test_a_look_that_is_stale_lets_nobody_take_memory_back(world: World) -> None:
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    park(world, training)
    world.sample()
    world.advance(60.0, sample=False)
    world.command(m.Resume(job=str(training)))
    assert world.scheduler.state.reasons[training].code is ReasonCode.STALE
    world.sample()
    assert world.state(training) is RESUMING


def test_of_two_ways_for_two_waiters_the_one_that_frees_more_is_asked() -> None:
    """One lacks memory on one device, the other time on another."""
    world = World(24 * GIB, 24 * GIB)
    training = train(world, gpus=2)
    world.command(m.Drain(on=True))
    world.submit(12, 0.5, priority=60, on=("0",))
    world.submit(4, 0.5, priority=50, on=("1",))
    world.command(m.Drain(on=False))
    request = asked(world, training)
    assert (request.how, world.job(training).pause.waiters) == ("park", (2, 3))  # type: ignore[union-attr]


def test_alone_it_waits_for_memory_that_no_program_is_seen_to_hold(world: World) -> None:
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    park(world, training)
    world.sample()
    job = world.job(training)
    load = msgspec.structs.replace(loads_of(world.scheduler.state)["GPU-0"], free=14 * GIB)
    verdict = judge_return(job, job.regains[0], load)
    assert (verdict.code, verdict.missing) == (ReasonCode.MEMORY, 2 * GIB)
    load = msgspec.structs.replace(load, free=16 * GIB)
    assert judge_return(job, job.regains[0], load).fits


def test_who_is_expected_to_keep_more_than_it_holds_keeps_what_it_holds(world: World) -> None:
    training = train(world, 1)
    load = loads_of(world.scheduler.state)["GPU-0"]
    assert load.resting({training: 3 * GIB}).charges[training].memory == GIB


def test_why_shows_that_it_would_be_alone(world: World) -> None:
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    park(world, training, kept=GIB)
    world.sample()
    lines = why_text(world.scheduler.state, world.job(training)).splitlines()
    assert lines[2] == "    alone on it: needs 15.0 GiB of 23.0 GiB free, whatever the caps"


def test_it_is_charged_for_what_it_is_seen_to_keep(world: World) -> None:
    """What it says is not counted on: the light task waits for room that is there."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    world.keeps[training] = 10 * GIB
    park(world, training)
    world.sample()
    assert (world.state(training), world.state(light)) == (PAUSED, QUEUED)
    assert charge(world, training) == 10 * GIB
    world.keeps[training] = 2 * GIB
    world.sample()
    assert charge(world, training) == 2 * GIB
    assert world.state(light) is STARTING


def test_what_it_kept_is_remembered_for_the_next_decision(world: World) -> None:
    """A task that needs more than parking freed the last time is answered by exit."""
    training, light = parked(world)
    world.keeps[training] = 3 * GIB
    world.sample()
    world.exit(light)
    say(world, training, m.Resumed, step=8)
    world.submit(19, 0.5, priority=50)
    assert asked(world, training).how == "exit"


def test_its_costs_are_learned_apart_from_those_of_an_exit(world: World) -> None:
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    request = asked(world, training).request
    say(world, training, m.Capturing, request=request)
    world.advance(3.0)
    say(world, training, m.Released, request=request, step=7, kept=0)
    world.sample()
    world.spawn(light)
    world.exit(light)
    world.advance(1.5)
    say(world, training, m.Resumed, step=7)
    job = world.job(training)
    assert cost(job, Way.PARK) == pytest.approx(4.5)
    assert (cost(job), job.exit_cost) == (FIRST_COST[Way.EXIT], PauseCost())


def test_it_waits_for_its_memory_and_says_so(world: World) -> None:
    training, light = parked(world)
    world.external["GPU-0"] = (14 * GIB, 0.0)
    world.exit(light)
    assert world.state(training) is PAUSED
    assert world.scheduler.state.reasons[training].code is ReasonCode.MEMORY
    lines = why_text(world.scheduler.state, world.job(training)).splitlines()
    assert lines[2] == (
        "    memory: other programs 14.0 GiB + this job 16.0 GiB + headroom 512 MiB = 30.5 GiB "
        "> 21.6 GiB (90 % of 24.0 GiB)"
    )
    world.external.clear()
    world.sample()
    assert world.state(training) is RESUMING


def test_alone_it_needs_no_more_than_is_free(world: World) -> None:
    """As at its start, the caps do not hold it back."""
    training = train(world, 23, ("park",))
    light = world.submit(12, 0.5, priority=50)
    park(world, training)
    world.sample()
    world.spawn(light)
    world.exit(light)
    assert world.state(training) is RESUMING


def test_its_memory_is_set_aside_for_its_return(world: World) -> None:
    """Who comes later and is no more important passes only into what is left beside it."""
    training, _ = parked(world, util=0.1)
    assert world.state(training) is PAUSED
    late = world.submit(8, 0.1)
    assert world.state(late) is QUEUED
    world.command(m.Pause(job=str(training)))
    assert world.state(late) is STARTING, "one that is held claims nothing"


def test_the_peak_from_before_is_no_incident(world: World) -> None:
    """Nor does it keep others from the device."""
    training = train(world)
    world.use(training, 16, 0.8, looks=3)
    seen = world.scheduler.state.seen[training]
    light = world.submit(12, 0.5, priority=50)
    park(world, training, kept=GIB)
    world.sample()
    assert world.state(light) is STARTING
    world.advance(1.0)
    assert world.job(training).incidents == 0
    after = world.scheduler.state.seen[training]
    assert (after.memory, after.utilization) == (seen.memory, seen.utilization)


def test_a_person_gets_the_most_that_it_offers(world: World) -> None:
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    assert asked(world, training).how == "park"
    park(world, training)
    world.sample()
    assert (world.state(training), world.job(training).held) == (PAUSED, True)
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is RESUMING


def test_what_it_regains_can_be_adjusted(world: World) -> None:
    """It takes no room before it goes on."""
    training, light = parked(world)
    answer = world.command(m.Adjust(job=str(training), memory=18 * GIB))
    assert isinstance(answer, m.Done)
    assert world.job(training).reservations[0].memory == 0
    world.exit(light)
    assert world.job(training).reservations[0].memory == 18 * GIB


def test_one_that_keeps_more_than_it_regains_gives_no_room_away(world: World) -> None:
    """It was told to take less than it is seen to keep."""
    training, _ = parked(world, memory=8, util=0.8)
    world.keeps[training] = 9 * GIB
    world.sample()
    world.command(m.Adjust(job=str(training), memory=2 * GIB))
    assert world.state(world.submit(7, 0.05, priority=-10)) is QUEUED


def test_it_takes_back_what_it_held_not_only_what_it_reserved(world: World) -> None:
    """One that had outgrown its reservation fits only where all of it does."""
    training = train(world, 16, PARK)
    world.use(training, 20, 0.8, looks=3)
    world.command(m.Pause(job=str(training)))
    park(world, training, kept=GIB)
    world.keeps[training] = GIB
    world.sample()
    light = world.submit(4, 0.1)
    world.spawn(light)
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is PAUSED
    answer = world.command(m.Adjust(job=str(training), memory=4 * GIB))
    assert isinstance(answer, m.Problem)
    assert answer.text.endswith("cannot be adjusted now: it takes 20.0 GiB back when it goes on")


def test_also_after_an_exit_it_needs_what_it_has_used(world: World) -> None:
    """Whatever was told."""
    training = train(world, 16, ("exit",))
    world.use(training, 20, 0.8, looks=3)
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    light = world.submit(4, 0.1)
    world.spawn(light)
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is PAUSED


@pytest.mark.parametrize("ways", [("stand",), PARK])
def test_without_a_device_there_is_nothing_to_keep(world: World, ways: tuple[str, ...]) -> None:
    training = world.start(gpus=0)
    world.attach(training, ways)
    assert isinstance(world.command(m.Pause(job=str(training))), m.Problem)


def test_one_that_has_outgrown_its_reservation_can_be_parked(world: World) -> None:
    training = train(world, ways=PARK)
    world.use(training, 17, 0.8, looks=3)
    world.submit(12, 0.5, priority=50)
    assert asked(world, training).how == "park"


def test_it_is_not_adjusted_to_less_than_it_gives_back_before_that_is_seen(world: World) -> None:
    training = train(world, 16, PARK, util=0.1)
    world.use(training, 16, 0.1, looks=2)
    world.command(m.Pause(job=str(training)))
    park(world, training, GIB)
    assert world.state(training) is PAUSING
    assert isinstance(world.command(m.Adjust(job=str(training), memory=4 * GIB)), m.Problem)


def test_one_that_goes_on_gives_nothing_of_what_it_holds_away(world: World) -> None:
    """It is seen to hold more than it regains: that stays charged in the same pass."""
    training = train(world, 1, PARK, util=0.1)
    world.command(m.Pause(job=str(training)))
    park(world, training)
    world.sample()
    world.keeps[training] = 6 * GIB
    world.sample()
    waiting = world.submit(16, 0.1)
    assert world.state(waiting) is QUEUED
    world.command(m.Resume(job=str(training)))
    assert (world.state(training), world.state(waiting)) == (RESUMING, QUEUED)
