"""A program with no SDK: its launcher says how it can be paused, and that it was."""

import pytest
from tests.coordinator.core.world import World

from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB

PAUSED, PAUSING, QUEUED, RESUMING = (
    JobState.PAUSED,
    JobState.PAUSING,
    JobState.QUEUED,
    JobState.RESUMING,
)
RUNNING, STARTING = JobState.RUNNING, JobState.STARTING
STOP = {"pause_signal": "STOP"}
SAVES = {"pause_signal": "USR2", "pause_exit": 85}


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def start(world: World, **spec: object) -> int:
    """A job of 16 GiB and most of the time whose launcher has said how it can be paused."""
    job = world.start(16, 0.8, **spec)
    attach(world, job)
    return job


def say(world: World, job: int, kind: type[m.Message], **more: object) -> None:
    """The launcher says something in the place of an SDK."""
    names = {"job": job, "attempt": world.job(job).attempt, "token": "t"}
    world.say(world.launcher(job), kind(**names, **more))


def attach(world: World, job: int, standing: int = 0) -> None:
    way = "exit" if world.job(job).spec.pause_exit else "stand"
    say(world, job, m.Attach, pid=7, pausable=(way,), standing=standing)


def asked(world: World, job: int) -> m.PauseRequest:
    return world.last(m.PauseRequest, world.launcher(job))


def stand(world: World, job: int) -> None:
    say(world, job, m.Standing, request=asked(world, job).request, step=0)
    world.sample()


def save(world: World, job: int) -> None:
    """It exits with its code, for the request that it was last sent."""
    world.exit(job, 85, asked(world, job).request)


def test_the_end_of_an_sdk_training_in_it_takes_nothing_back(world: World) -> None:
    """The SDK in the main process has the same number and token as the launcher's word for it."""
    job = start(world, **STOP)
    world.say(b"sdk", m.Detach(job=job, attempt=world.job(job).attempt, token="t", pid=7))
    assert world.job(job).pausable == ("stand",)
    world.submit(4, 0.5, priority=50)
    assert asked(world, job).how == "stand"


def test_one_that_may_be_stopped_stands_while_a_light_task_runs(world: World) -> None:
    job = start(world, **STOP)
    light = world.submit(4, 0.5, priority=50)
    assert asked(world, job).how == "stand"
    stand(world, job)
    assert (world.state(job), world.state(light)) == (PAUSED, STARTING)
    world.spawn(light)
    world.exit(light)
    assert world.state(job) is RESUMING
    assert world.last(m.GoOn, world.launcher(job)).request
    say(world, job, m.Resumed, step=0)
    found = world.job(job)
    assert (found.state, found.attempt, found.pauses) == (RUNNING, 1, 1)
    assert world.details(job, Trigger.STAND) == [""]


def test_one_that_may_only_be_stopped_is_not_asked_for_memory(world: World) -> None:
    job = start(world, **STOP)
    world.submit(12, 0.5, priority=50)
    assert world.state(job) is RUNNING


def test_one_that_goes_on_by_itself_is_charged_again_and_who_waits_goes_on_waiting(
    world: World,
) -> None:
    """Its processes would have given up on each other."""
    job = start(world, **STOP)
    world.command(m.Pause(job=str(job)))
    stand(world, job)
    attach(world, job)
    assert (world.state(job), world.job(job).held) == (RUNNING, False)
    assert world.job(job).reservations[0].utilization == 0.8
    assert world.state(world.submit(4, 0.5)) is QUEUED


def test_a_coordinator_that_comes_back_leaves_it_standing(world: World) -> None:
    job = start(world, **STOP)
    light = world.submit(4, 0.5, priority=50)
    stand(world, job)
    world.spawn(light)
    request = asked(world, job).request
    alive = {world.job(one).launcher for one in (job, light)}
    alive |= {world.job(one).process for one in (job, light)}
    world.restart(frozenset(one for one in alive if one is not None))
    for one in (job, light):
        launcher = world.job(one).launcher
        submit = m.Submit(uuid=world.job(one).uuid, spec=world.job(one).spec)
        world.say(world.peer(), submit, sender=launcher)
    attach(world, job, standing=request)
    assert world.state(job) is PAUSED
    world.exit(light)
    assert world.state(job) is RESUMING
    assert world.last(m.GoOn, world.launcher(job)).request == request


def test_the_end_of_its_launcher_lets_it_run_to_its_end_unasked(world: World) -> None:
    """Nobody is left who could stop or continue it."""
    job = start(world, **STOP)
    world.submit(4, 0.5, priority=50)
    stand(world, job)
    world.end_of_launcher(job)
    found = world.job(job)
    assert (found.state, found.pausable) == (RUNNING, None)
    assert found.reservations[0].utilization == 0.8
    world.submit(4, 0.5, priority=50)
    assert world.state(job) is RUNNING


def test_one_that_saves_by_itself_is_paused_by_its_exit_and_spawned_again(world: World) -> None:
    job = start(world, **SAVES)
    light = world.submit(12, 0.5, priority=50)
    assert asked(world, job).how == "exit"
    world.advance(3.0)
    save(world, job)
    found = world.job(job)
    assert (found.state, found.process, found.reservations) == (PAUSED, None, ())
    assert found.exit_cost.leaving == pytest.approx(3.0), "from the signal to the free device"
    assert world.state(light) is STARTING
    world.spawn(light)
    world.exit(light)
    grant = world.last(m.Grant, world.launcher(job))
    assert (grant.attempt, grant.resume) == (2, "")
    world.spawn(job)
    attach(world, job)
    say(world, job, m.Resumed, step=0)
    assert (world.state(job), world.job(job).pauses) == (RUNNING, 1)


def test_the_kernels_word_of_its_end_takes_nothing_back(world: World) -> None:
    """It comes before the launcher's, and the device may be seen free in between."""
    job = start(world, **SAVES)
    world.submit(12, 0.5, priority=50)
    world.end_of_process(job)
    world.gone.add(job)
    world.sample()
    assert world.state(job) is PAUSING
    save(world, job)
    assert world.state(job) is PAUSED
    assert not world.details(job, Trigger.WITHDRAW)


@pytest.mark.parametrize("code", [0, 1, 84, 140])
def test_any_other_code_is_its_end(world: World, code: int) -> None:
    job = start(world, **SAVES)
    world.submit(12, 0.5, priority=50)
    world.exit(job, code)
    assert world.state(job) is (JobState.FAILED if code else JobState.FINISHED)


def test_the_code_without_a_signal_is_an_end_too(world: World) -> None:
    job = start(world, **SAVES)
    world.exit(job, 85)
    assert (world.state(job), world.job(job).exit_code) == (JobState.FAILED, 85)


def test_a_signal_that_it_ignores_past_the_deadline_costs_it_nothing(world: World) -> None:
    """The request stays armed while somebody wants it, and is renewed under its number."""
    job = start(world, **SAVES)
    light = world.submit(12, 0.5, priority=50)
    first = asked(world, job)
    world.advance(61.0)
    again = asked(world, job)
    assert (again.request, again.deadline > first.deadline) == (first.request, True)
    assert world.job(job).process is not None
    world.say(world.launcher(light), m.Leave(job=light))
    assert world.state(job) is RUNNING


def test_one_that_saves_after_the_request_was_withdrawn_pauses_and_then_queues(
    world: World,
) -> None:
    """Its signal could not be taken back: it goes on as soon as there is room, which is at once."""
    job = start(world, **SAVES)
    light = world.submit(12, 0.5, priority=50)
    world.say(world.launcher(light), m.Leave(job=light))
    assert world.state(job) is RUNNING
    save(world, job)
    assert (world.state(job), world.job(job).pauses) == (RESUMING, 1)
    assert "though nobody waits for it any more" in world.last(m.Paused, world.launcher(job)).text


def test_one_that_saves_for_an_earlier_request_is_paused_for_the_present_one(world: World) -> None:
    job = start(world, **SAVES)
    light = world.submit(12, 0.5, priority=50)
    first = asked(world, job).request
    world.say(world.launcher(light), m.Leave(job=light))
    world.submit(12, 0.5, priority=50)
    assert asked(world, job).request != first
    world.exit(job, 85, first)
    assert world.state(job) is PAUSED


def test_a_cancelled_one_that_saves_is_cancelled(world: World) -> None:
    job = start(world, **SAVES)
    world.submit(12, 0.5, priority=50)
    world.command(m.Cancel(job=str(job)))
    save(world, job)
    assert world.state(job) is JobState.CANCELLED


def test_what_was_said_twice_is_one_pause(world: World) -> None:
    job = start(world, **SAVES)
    world.command(m.Pause(job=str(job)))
    request, attempt = asked(world, job).request, world.job(job).attempt
    save(world, job)
    said = m.Exited(job=job, attempt=attempt, code=85, request=request)
    world.say(world.launcher(job), said)
    assert (world.state(job), world.job(job).pauses) == (PAUSED, 1)


@pytest.mark.parametrize("told", [STOP, SAVES])
def test_an_sdk_in_such_a_job_is_told_that_it_is_not_asked(
    world: World, told: dict[str, object]
) -> None:
    """Two voices would contradict each other, and the person said which one counts."""
    job = start(world, **told)
    peer = world.attach(job)
    assert "pauses by --pause-signal" in world.last(m.Problem, peer).text
    world.command(m.Pause(job=str(job)))
    assert not world.got(m.PauseRequest, peer)
    assert asked(world, job).how == ("stand" if told == STOP else "exit")


def test_why_says_that_one_which_can_only_stand_holds_no_device(world: World) -> None:
    job = world.start(None, None, gpus=0, **STOP)
    attach(world, job)
    answer = world.command(m.Pause(job=str(job)))
    assert isinstance(answer, m.Problem)
    assert "it can only stand where it is, and holds no device" in answer.text
