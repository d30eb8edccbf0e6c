"""Parking: a training's state goes to host memory, and its process waits with its context."""

import msgspec
import pytest
from tests.coordinator.core.world import World

from gpurun.coordinator.core.admission import judge_return
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.job import PauseCost, Stage, Way
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.pausing import FIRST_COST, cost
from gpurun.coordinator.core.transitions import Note, Trigger
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobState, ReasonCode
from gpurun.protocol.quantity import GIB

WAYS = tuple(Way)
PARK = ("stand", "park")
QUEUED, STARTING, RUNNING = JobState.QUEUED, JobState.STARTING, JobState.RUNNING
PAUSING, PAUSED, RESUMING = JobState.PAUSING, JobState.PAUSED, JobState.RESUMING


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def train(
    world: World,
    memory: int = 16,
    ways: tuple[str, ...] = WAYS,
    *,
    util: float = 0.8,
    **spec: object,
) -> int:
    job = world.start(memory, util, **spec)
    world.attach(job, ways=ways)
    return job


def asked(world: World, job: int) -> m.PauseRequest:
    return world.last(m.PauseRequest, world.trainer(job))


def say(world: World, job: int, kind: type[m.Message], **fields: object) -> None:
    known = world.job(job)
    said = kind(job=job, attempt=known.attempt, token="t", **fields)
    world.say(world.trainer(job), said, uid=known.uid)


def park(world: World, job: int, kept: int = 0) -> None:
    """The training comes to a safe point and gives its memory back; nobody has looked yet."""
    request = asked(world, job).request
    say(world, job, m.Capturing, request=request)
    say(world, job, m.Released, request=request, step=7, kept=kept)


def parked(world: World, memory: int = 12, kept: int = 0, **spec: object) -> tuple[int, int]:
    """A training that is parked for a light task, which runs."""
    training = train(world, **spec)  # type: ignore[arg-type]
    light = world.submit(memory, 0.5, priority=50)
    park(world, training, kept)
    world.sample()
    world.spawn(light)
    return training, light


def saves(world: World, job: int) -> None:
    """The checkpoint is on disk."""
    order = world.job(job).pause
    assert order is not None
    world.durable(job, order.request)


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


def test_one_whose_process_has_ended_is_not_paused(world: World) -> None:
    """It ends as any job does, once its launcher has said how."""
    training = train(world)
    world.submit(12, 0.5, priority=50)
    park(world, training)
    world.end_of_process(training)
    world.sample()
    assert world.state(training) is PAUSING
    world.exit(training, code=1)
    assert world.state(training) is JobState.FAILED


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


def charge(world: World, job: int) -> int:
    """Bytes with which the device is charged for it."""
    return loads_of(world.scheduler.state)["GPU-0"].charges[job].memory


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


def test_what_it_kept_is_remembered_for_the_next_decision(world: World) -> None:
    """A task that needs more than parking freed the last time is answered by exit."""
    training, light = parked(world)
    world.keeps[training] = 3 * GIB
    world.sample()
    world.exit(light)
    say(world, training, m.Resumed, step=8)
    world.submit(19, 0.5, priority=50)
    assert asked(world, training).how == "exit"


def test_what_it_kept_is_remembered_also_where_it_had_to_leave(world: World) -> None:
    training = leaving(world)
    assert world.job(training).parked_memory == 10 * GIB


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


@pytest.mark.parametrize("when", ["before", "parked", "resuming", "running"])
def test_its_checkpoint_counts_whenever_it_comes_on_disk(world: World, when: str) -> None:
    """Before the release, where a script saves by itself; else at any time after it."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    request = asked(world, training).request
    if when == "before":
        world.durable(training, request)
        assert world.state(training) is PAUSING
    park(world, training)
    world.sample()
    if when == "parked":
        world.durable(training, request)
    world.spawn(light)
    world.exit(light)
    assert world.state(training) is RESUMING
    if when == "resuming":
        world.durable(training, request)
    say(world, training, m.Resumed, step=7)
    if when == "running":
        world.durable(training, request)
    assert world.job(training).checkpoint == f"/checkpoints/{training}/7"
    assert world.state(training) is RUNNING


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


def test_one_that_ends_while_it_is_parked_has_ended(world: World) -> None:
    training, _ = parked(world)
    saves(world, training)
    world.exit(training, code=1)
    assert world.state(training) is JobState.FAILED
    assert not world.job(training).charged


def test_a_new_coordinator_finds_it_parked(world: World) -> None:
    """It says so when it attaches again, and where its checkpoint is by now."""
    training, light = parked(world)
    request = asked(world, training).request
    world.restart()
    world.attach(training, ways=WAYS, parked=request)
    assert world.state(training) is PAUSED
    world.advance(3.0)
    world.say(world.peer(), m.Exited(job=light, attempt=1, code=0))
    world.sample()
    assert world.state(training) is RESUMING


def test_a_release_that_an_earlier_coordinator_missed_is_said_again(world: World) -> None:
    training = train(world)
    world.submit(12, 0.5, priority=50)
    request = asked(world, training).request
    world.restart()
    world.attach(training, ways=WAYS, parked=request, kept=GIB)
    world.sample()
    assert world.state(training) is PAUSED
    assert world.job(training).reservations[0].memory == GIB


def test_a_checkpoint_that_an_earlier_coordinator_missed_counts(world: World) -> None:
    training, _ = parked(world)
    request = asked(world, training).request
    world.restart()
    attempt = world.job(training).attempt
    said = m.Attach(
        job=training, attempt=attempt, token="t", pid=4711, pausable=WAYS,
        parked=request, checkpoint="/checkpoints/8",
    )  # fmt: skip
    world.say(world.peer(), said)
    assert world.job(training).checkpoint == "/checkpoints/8"


@pytest.mark.parametrize("way", ["standing", "parked"])
def test_a_rest_in_another_way_than_was_asked_is_taken_back(world: World, way: str) -> None:
    """What is asked is not done by it."""
    training = train(world, ways=("exit",))
    world.submit(12, 0.5, priority=50)
    rest = {way: asked(world, training).request}
    peer = world.attach(training, WAYS, **rest)
    assert world.last(m.GoOn, peer)
    assert world.state(training) is PAUSING


def test_one_that_trains_by_itself_is_charged_for_all_again(world: World) -> None:
    """It saw no coordinator for long, and went on."""
    training, _ = parked(world)
    world.restart()
    world.attach(training, ways=WAYS)
    assert world.state(training) is RUNNING
    assert world.job(training).reservations[0].memory == 16 * GIB


def leaving(world: World) -> int:
    """A parked training that is about to be ended, since parking was not enough."""
    training = train(world)
    world.submit(12, 0.5, priority=50)
    world.keeps[training] = 10 * GIB
    park(world, training)
    world.sample()
    saves(world, training)
    assert world.state(training) is PAUSING
    return training


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


def test_one_that_is_to_be_ended_is_ended_also_by_a_new_coordinator(world: World) -> None:
    training = leaving(world)
    request = asked(world, training).request
    launcher = world.job(training)
    world.restart()
    message = m.Submit(uuid=launcher.uuid, spec=launcher.spec)
    world.say(world.peer(), message, sender=launcher.launcher)
    world.attach(training, ways=WAYS, parked=request)
    assert world.last(m.EndTree, world.launcher(training)).request == request


def test_one_that_was_to_be_ended_and_trains_is_asked_again(world: World) -> None:
    """With all that it holds charged, as it took it back by itself."""
    training = leaving(world)
    world.restart()
    world.attach(training, ways=WAYS)
    assert world.job(training).reservations[0].memory == 16 * GIB
    assert asked(world, training).how == "exit"
    order = world.job(training).pause
    assert order is not None
    assert (order.stage, order.released) == (Stage.ASKED, 0.0), "all of it is void"


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


def test_what_it_regains_can_be_adjusted(world: World) -> None:
    """It takes no room before it goes on."""
    training, light = parked(world)
    answer = world.command(m.Adjust(job=str(training), memory=18 * GIB))
    assert isinstance(answer, m.Done)
    assert world.job(training).reservations[0].memory == 0
    world.exit(light)
    assert world.job(training).reservations[0].memory == 18 * GIB


def test_a_release_that_nobody_asked_for_is_taken_back(world: World) -> None:
    training = train(world)
    say(world, training, m.Released, request=9, step=7, kept=0)
    assert world.last(m.GoOn, world.trainer(training)).request == 9
    assert world.state(training) is RUNNING


@pytest.mark.parametrize("way", ["stand", "park"])
def test_a_rest_that_is_said_again_is_no_reason_to_go_on(world: World, way: str) -> None:
    """Its word and a second request may cross."""
    training = train(world, ways=(way,))
    world.submit(4, 0.5, priority=50)
    request = asked(world, training).request
    said = {"request": request, "step": 7} | ({"kept": 0} if way == "park" else {})
    kind = m.Released if way == "park" else m.Standing
    for _ in range(2):
        say(world, training, kind, **said)
        world.sample()
    assert world.state(training) is PAUSED
    assert world.got(m.GoOn, world.trainer(training)) == []


def hello(world: World, job: int) -> bytes:
    """Its launcher comes back to a new coordinator."""
    known, peer = world.job(job), world.peer()
    held = None
    if known.process is not None:
        pid, started = known.process.pid, known.process.start_time
        held = Held(job=job, attempt=known.attempt, pid=pid, start_time=started)
    message = m.Submit(uuid=known.uuid, spec=known.spec, held=held)
    world.say(peer, message, sender=known.launcher)
    return peer


@pytest.mark.parametrize("when", ["parked", "resuming", "saved before its release"])
def test_a_new_coordinator_has_nobody_ended_who_does_not_exit(world: World, when: str) -> None:
    """Its checkpoint is on disk, but that is not why it is paused."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    if when != "saved before its release":
        park(world, training)
        world.sample()
        world.spawn(light)
    saves(world, training)
    if when == "resuming":
        world.exit(light)
    state = world.state(training)
    world.restart()
    peer = hello(world, training)
    assert world.got(m.EndTree, peer) == []
    assert world.state(training) is state


def test_one_whose_process_is_seen_gone_waits_for_its_launchers_word(world: World) -> None:
    """It is charged with nothing, and neither goes on nor breaks anything."""
    training, light = parked(world)
    world.gone.add(training)
    world.end_of_process(training)
    world.sample()
    world.exit(light)
    assert world.state(training) is PAUSED
    text = why_text(world.scheduler.state, world.job(training))
    assert text.endswith("its process has ended, and its launcher has not said how")
    world.exit(training, code=137)
    assert world.state(training) is JobState.FAILED


@pytest.mark.parametrize("way", ["parked", "standing"])
def test_nobody_goes_on_on_a_device_that_is_not_known(world: World, way: str) -> None:
    """A new coordinator whose driver hangs has not looked at it."""
    training = train(world, ways=("park",) if way == "parked" else ("stand",))
    light = (
        world.submit(4, 0.5, priority=50)
        if way == "standing"
        else world.submit(12, 0.5, priority=50)
    )
    request = asked(world, training).request
    if way == "parked":
        park(world, training)
    else:
        say(world, training, m.Standing, request=request, step=7)
    world.sample()
    world.spawn(light)
    world.restart(look=False)
    world.attach(training, WAYS, **{way: request})
    world.advance(5.0, sample=False)
    assert world.state(training) is PAUSED
    assert world.scheduler.state.reasons[training].code is ReasonCode.NO_DEVICE


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


def test_one_that_trains_by_itself_is_not_held_any_more(world: World) -> None:
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    park(world, training)
    world.sample()
    world.restart()
    world.attach(training, ways=WAYS)
    assert (world.state(training), world.job(training).held) == (RUNNING, False)


def test_who_asks_for_a_pause_while_it_leaves_is_answered(world: World) -> None:
    """And its launcher hears that it is paused."""
    training, peer = leaving(world), world.peer()
    world.say(peer, m.Pause(job=str(training)))
    world.exit(training, code=137, request=asked(world, training).request)
    assert not world.last(m.Done, peer).pending
    assert world.last(m.Paused, world.launcher(training)).text


@pytest.mark.parametrize("ways", [("stand",), PARK])
def test_without_a_device_there_is_nothing_to_keep(world: World, ways: tuple[str, ...]) -> None:
    training = world.start(gpus=0)
    world.attach(training, ways)
    assert isinstance(world.command(m.Pause(job=str(training))), m.Problem)


@pytest.mark.parametrize("state", [PAUSING, PAUSED, RESUMING])
def test_a_training_that_is_over_is_not_waited_for(world: World, state: JobState) -> None:
    """Its script has caught what ended it, and goes on without it."""
    training = train(world)
    light = world.submit(12, 0.5, priority=50)
    park(world, training)
    if state is not PAUSING:
        world.sample()
        world.spawn(light)
    if state is RESUMING:
        world.exit(light)
    assert world.state(training) is state
    say(world, training, m.Detach, pid=4711)
    assert world.state(training) is RUNNING
    assert charge(world, training) == 16 * GIB


def test_a_second_training_ends_the_parking_of_the_first(world: World) -> None:
    """What it takes is charged at once."""
    training, _ = parked(world)
    first = world.trainer(training)
    world.attach(training, WAYS, pid=5000)
    assert (world.state(training), charge(world, training)) == (RUNNING, 16 * GIB)
    assert world.last(m.GoOn, first)


def test_one_that_has_outgrown_its_reservation_can_be_parked(world: World) -> None:
    training = train(world, ways=PARK)
    world.use(training, 17, 0.8, looks=3)
    world.submit(12, 0.5, priority=50)
    assert asked(world, training).how == "park"


def back(world: World) -> tuple[int, int]:
    """A training that was parked and trains again, and the number of that request."""
    training, light = parked(world)
    old = asked(world, training).request
    world.exit(light)
    say(world, training, m.Resumed, step=7)
    return training, old


def late(world: World, job: int, request: int, checkpoint: str) -> None:
    facts = {"request": request, "checkpoint": checkpoint, "step": 7, "size": 1, "seconds": 90.0}
    say(world, job, m.Durable, **facts)


def test_a_late_checkpoint_is_never_taken_for_that_of_another_request(world: World) -> None:
    """Also where a new coordinator has made that request: no number comes twice for a job."""
    training, old = back(world)
    world.restart()
    hello(world, training)
    world.attach(training, ways=WAYS)
    world.advance(5.0)
    world.command(m.Pause(job=str(training)))
    assert asked(world, training).request > old
    late(world, training, old, "/old")
    assert world.got(m.EndTree, world.launcher(training)) == []
    assert world.state(training) is PAUSING


def test_the_newer_checkpoint_counts(world: World) -> None:
    training, _ = parked(world)
    order = world.job(training).pause
    assert order is not None
    late(world, training, order.request, "/first")
    late(world, training, order.request, "/second")
    assert world.job(training).checkpoint == "/second"


@pytest.mark.parametrize("way", ["park", "stand"])
def test_one_whose_word_that_it_goes_on_was_lost_is_not_waited_for(world: World, way: str) -> None:
    """It attaches to the next coordinator and rests for nothing."""
    training = train(world, ways=(way,))
    world.command(m.Pause(job=str(training)))
    if way == "park":
        park(world, training)
    else:
        say(world, training, m.Standing, request=asked(world, training).request, step=7)
    world.sample()
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is RESUMING
    world.restart()
    hello(world, training)
    world.attach(training, ways=WAYS)
    assert world.state(training) is RUNNING


def test_it_is_not_adjusted_to_less_than_it_gives_back_before_that_is_seen(world: World) -> None:
    training = train(world, 16, PARK, util=0.1)
    world.use(training, 16, 0.1, looks=2)
    world.command(m.Pause(job=str(training)))
    park(world, training, GIB)
    assert world.state(training) is PAUSING
    assert isinstance(world.command(m.Adjust(job=str(training), memory=4 * GIB)), m.Problem)


@pytest.mark.parametrize("way", ["park", "stand"])
def test_a_rest_of_one_that_is_seen_gone_changes_nothing(world: World, way: str) -> None:
    """Its launcher says how it ended, and is answered."""
    training = train(world, ways=(way,))
    world.command(m.Pause(job=str(training)))
    request = asked(world, training).request
    world.gone.add(training)
    world.end_of_process(training)
    world.sample()
    if way == "park":
        say(world, training, m.Released, request=request, step=7, kept=0)
    else:
        say(world, training, m.Standing, request=request, step=7)
    world.sample()
    launcher = world.launcher(training)
    world.exit(training, 137)
    assert world.state(training) is JobState.FAILED
    assert world.last(m.Ended, launcher)


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


@pytest.mark.parametrize("how", ["stand", "exit"])
def test_nobody_is_ended_on_a_word_that_is_no_answer(world: World, how: str) -> None:
    """A checkpoint of one that was asked to stand; a rest without a checkpoint."""
    training = train(world, ways=(how,))
    world.command(m.Pause(job=str(training)))
    request = asked(world, training).request
    if how == "stand":
        late(world, training, request, "/checkpoints/3")
    else:
        world.attach(training, WAYS, resting=request)
    assert world.got(m.EndTree, world.launcher(training)) == []


def test_a_launcher_hears_that_its_job_is_asked_to_park(world: World) -> None:
    """From then on it keeps a coordinator running."""
    training = train(world)
    launcher = world.launcher(training)
    world.submit(12, 0.5, priority=50)
    assert world.last(m.Paused, launcher).text == ""
    assert world.state(training) is PAUSING


def test_nobody_is_asked_of_whom_the_launcher_has_not_said_that_it_runs(world: World) -> None:
    """Such as a launcher that was stopped at once: nobody would see it end where it is paused."""
    training = train(world, ways=("exit",))
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Resume(job=str(training)))
    say_from = world.attach(training, WAYS)
    attempt = world.job(training).attempt
    world.say(say_from, m.Resumed(job=training, attempt=attempt, token="t", step=7))
    assert world.state(training) is RUNNING
    answer = world.command(m.Pause(job=str(training)))
    assert isinstance(answer, m.Problem)
    assert answer.text.endswith("its launcher has not said yet that it runs")


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
