"""What is said of a training that parks, late, twice, never, or to another coordinator."""

import pytest
from tests.coordinator.core.parking import (
    PARK,
    PAUSED,
    PAUSING,
    RESUMING,
    RUNNING,
    WAYS,
    asked,
    back,
    charge,
    hello,
    late,
    leaving,
    park,
    parked,
    saves,
    say,
    train,
)
from tests.coordinator.core.world import World

from gpurun.coordinator.core.job import Stage
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


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


def test_one_that_trains_by_itself_is_not_held_any_more(world: World) -> None:
    training = train(world, ways=PARK)
    world.command(m.Pause(job=str(training)))
    park(world, training)
    world.sample()
    world.restart()
    world.attach(training, ways=WAYS)
    assert (world.state(training), world.job(training).held) == (RUNNING, False)


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
