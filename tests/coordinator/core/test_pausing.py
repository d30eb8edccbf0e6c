"""Stepping aside: asked for by a person or by the scheduler, carried out or withdrawn."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.effects import Record
from gpurun.coordinator.core.settings import Pausing, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def training_world(**spec: object) -> tuple[World, int]:
    """A device that one pausable training fills."""
    world = World(24 * GIB)
    return world, world.train(20, 0.9, **spec)


def test_a_light_task_of_higher_priority_runs_in_the_middle_of_a_training() -> None:
    """The main job: asked, durable, tree ended, seen free, light task, resumed."""
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.PAUSING
    request = world.request(training)

    world.durable(training, request)
    assert world.last(m.EndTree, world.launcher(training)).request == request
    assert world.state(light) is JobState.QUEUED, "the device is not seen free yet"

    world.exit(training, code=137, request=request)
    assert world.state(training) is JobState.PAUSED
    assert "job" in world.last(m.Paused, world.launcher(training)).text
    assert world.state(light) is JobState.STARTING

    world.spawn(light)
    assert world.state(training) is JobState.PAUSED
    world.exit(light)
    assert world.state(training) is JobState.RESUMING
    grant = world.last(m.Grant, world.launcher(training))
    assert (grant.attempt, grant.resume) == (2, f"/checkpoints/{training}/7")
    world.come_back(training)
    assert world.state(training) is JobState.RUNNING
    assert world.job(training).pauses == 1


def test_equal_priority_asks_nobody_to_step_aside() -> None:
    world, training = training_world()
    world.submit(12, 0.5)
    assert world.state(training) is JobState.RUNNING


def test_a_job_that_did_not_say_it_can_is_never_asked() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.submit(12, 0.5, priority=50)
    assert world.state(job) is JobState.RUNNING
    refusal = world.command(m.Pause(job=str(job)))
    assert isinstance(refusal, m.Problem)
    assert "sdk.Trainable" in refusal.text


@pytest.mark.parametrize(
    "spec", [{"pause": "never"}, {"no_respawn": "its stdin is a pipe"}], ids=["never", "pipe"]
)
def test_a_training_that_cannot_be_run_again_is_never_asked(spec: dict[str, object]) -> None:
    world, training = training_world(**spec)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING
    assert isinstance(world.command(m.Pause(job=str(training))), m.Problem)


@pytest.mark.parametrize(("told", "asked"), [("auto", "park"), ("exit", "exit")])
def test_a_loop_that_nobody_said_survives_a_respawn_exits_only_where_it_is_told_to(
    told: str, asked: str
) -> None:
    """It offers to exit, and with --pause exit the person answers for its script."""
    world = World(24 * GIB)
    training = world.start(20, 0.9, pause=told)
    world.attach(training, ("stand", "park", "exit"), no_respawn="nobody said so")
    world.submit(12, 0.5, priority=50)
    assert world.last(m.PauseRequest, world.trainer(training)).how == asked


def test_a_loop_that_only_offers_to_exit_is_not_asked_where_nobody_said_that_it_survives_it() -> (
    None
):
    world = World(24 * GIB)
    training = world.start(20, 0.9)
    world.attach(training, ("exit",), no_respawn="nobody said so")
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING
    refusal = world.command(m.Pause(job=str(training)))
    assert isinstance(refusal, m.Problem)
    assert "nobody said so" in refusal.text


def test_nobody_is_asked_where_it_would_not_help() -> None:
    """A foreign program holds what the light task needs: pausing the training frees too little."""
    world = World(24 * GIB)
    world.external["GPU-0"] = (12 * GIB, 0.1)
    world.sample()
    training = world.train(8, 0.5)
    world.submit(20, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING


def test_only_as_many_step_aside_as_are_needed_the_least_important_first() -> None:
    world = World(24 * GIB)
    world.train(10, 0.3, priority=10)
    low = world.train(10, 0.3, priority=-10)
    world.submit(8, 0.3, priority=50)
    assert [job.id for job in world.scheduler.state.live() if job.pause] == [low]


def test_several_step_aside_together_where_one_does_not_free_enough() -> None:
    world = World(24 * GIB)
    first, second = world.train(10, 0.3), world.train(10, 0.3)
    light = world.submit(20, 0.3, priority=50)
    assert {world.state(first), world.state(second)} == {JobState.PAUSING}
    world.capture(first)
    assert world.state(light) is JobState.QUEUED
    world.capture(second)
    assert world.state(light) is JobState.STARTING


def test_when_one_of_several_refuses_the_others_go_on() -> None:
    world = World(24 * GIB)
    first, second = world.train(10, 0.3), world.train(10, 0.3)
    world.submit(20, 0.3, priority=50)
    refused = m.Refused(
        job=first, attempt=1, token="t", request=world.request(first), text="disk full"
    )
    world.say(world.trainer(first), refused)
    assert world.state(first) is JobState.RUNNING
    assert world.state(second) is JobState.RUNNING
    assert world.got(m.GoOn, world.trainer(second))


def test_light_tasks_that_fit_share_one_pause() -> None:
    world, training = training_world()
    first, second = (world.submit(8, 0.3, priority=50) for _ in range(2))
    world.capture(training)
    assert world.job(training).pauses == 1
    assert {world.state(first), world.state(second)} == {JobState.STARTING}


def test_room_freed_by_a_pause_is_for_the_waiter_that_caused_it() -> None:
    """A job of the training's own priority that fits must not slip in between."""
    world, training = training_world()
    light = world.submit(20, 0.5, priority=50)
    bystander = world.submit(3, 0.3)
    world.capture(training)
    assert world.state(light) is JobState.STARTING
    assert world.state(bystander) is JobState.QUEUED


def test_a_pause_that_nobody_waits_for_any_more_is_withdrawn() -> None:
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    world.say(world.launcher(light), m.Leave(job=light))
    assert world.state(training) is JobState.RUNNING
    assert world.got(m.GoOn, world.trainer(training))


def test_what_was_captured_when_the_waiter_left_pauses_and_then_queues() -> None:
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    request = world.request(training)
    world.durable(training, request)
    world.say(world.launcher(light), m.Leave(job=light))
    assert world.state(training) is JobState.PAUSING
    world.exit(training, code=137, request=request)
    assert world.state(training) is JobState.RESUMING


def test_a_passed_deadline_is_not_a_refusal_the_request_stays_armed() -> None:
    world, training = training_world()
    world.submit(12, 0.5, priority=50)
    first = world.last(m.PauseRequest, world.trainer(training))
    world.advance(61.0)
    again = world.last(m.PauseRequest, world.trainer(training))
    assert again.request == first.request
    assert again.deadline > first.deadline
    view = world.scheduler.state.jobs[training].pause
    assert view is not None
    assert view.overdue


def test_pitfall_10_a_save_of_40_seconds_is_waited_for() -> None:
    """The deadline is for its beginning: nothing ends the tree before the checkpoint is there."""
    world, training = training_world()
    world.submit(12, 0.5, priority=50)
    request = world.request(training)
    capturing = m.Capturing(job=training, attempt=1, token="t", request=request)
    world.advance(55.0)
    world.say(world.trainer(training), capturing)
    world.advance(40.0)
    assert not world.got(m.EndTree, world.launcher(training))
    assert world.state(training) is JobState.PAUSING
    world.capture(training)
    assert world.state(training) is JobState.PAUSED


def test_a_training_that_comes_too_late_is_asked_anew() -> None:
    world, training = training_world()
    world.submit(12, 0.5, priority=50)
    request = world.request(training)
    before = len(world.got(m.PauseRequest, world.trainer(training)))
    world.say(
        world.trainer(training), m.Overdue(job=training, attempt=1, token="t", request=request)
    )
    assert len(world.got(m.PauseRequest, world.trainer(training))) == before + 1
    world.capture(training)
    assert world.state(training) is JobState.PAUSED


def test_a_pause_by_hand_lasts_until_resume() -> None:
    world, training = training_world()
    answer = world.command(m.Pause(job=str(training)))
    assert isinstance(answer, m.Done)
    assert answer.pending
    world.capture(training)
    world.advance(7200.0)
    assert world.state(training) is JobState.PAUSED
    assert isinstance(world.command(m.Resume(job=str(training))), m.Done)
    assert world.state(training) is JobState.RESUMING


def test_who_paused_by_hand_is_told_when_it_is_done() -> None:
    world, training = training_world()
    person = world.peer()
    world.say(person, m.Pause(job=str(training)))
    world.capture(training)
    assert [done.pending for done in world.got(m.Done, person)] == [True, False]


def test_who_paused_by_hand_is_told_of_a_refusal() -> None:
    world, training = training_world()
    person = world.peer()
    world.say(person, m.Pause(job=str(training)))
    request = world.request(training)
    text = "attribute 'cache' cannot be saved"
    world.say(
        world.trainer(training),
        m.Refused(job=training, attempt=1, token="t", request=request, text=text),
    )
    assert text in world.last(m.Problem, person).text
    assert world.state(training) is JobState.RUNNING
    assert not world.job(training).held


def test_a_request_that_was_not_captured_yet_can_be_taken_back() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    world.command(m.Resume(job=str(training)))
    assert world.state(training) is JobState.RUNNING
    assert not world.job(training).held


def test_a_durable_word_for_a_withdrawn_request_lets_the_training_go_on() -> None:
    """The word crossed the withdrawal: the training stands still and must not stay so."""
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.command(m.Resume(job=str(training)))
    before = len(world.got(m.GoOn, world.trainer(training)))
    world.durable(training, request)
    assert len(world.got(m.GoOn, world.trainer(training))) == before + 1
    assert world.state(training) is JobState.RUNNING


def test_an_unknown_time_makes_nobody_of_another_user_step_aside() -> None:
    world, training = training_world()
    world.submit(12, 0.5, priority=50, uid=OTHER_USER)
    assert world.state(training) is JobState.RUNNING
    world.advance(1000.0)
    world.submit(12, 0.5, priority=60, uid=OTHER_USER, time=60.0)
    assert world.state(training) is JobState.PAUSING


def test_a_task_longer_than_the_longest_absence_makes_nobody_step_aside() -> None:
    world, training = training_world()
    world.submit(12, 0.5, priority=50, time=7200.0)
    assert world.state(training) is JobState.RUNNING


def test_who_was_paused_for_too_long_heads_the_queue() -> None:
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    world.capture(training)
    world.spawn(light)
    world.advance(3700.0)
    later = world.submit(20, 0.5, priority=50)
    world.exit(light)
    assert world.state(training) is JobState.RESUMING
    assert world.state(later) is JobState.QUEUED


def test_pausing_can_be_switched_off_for_the_scheduler_but_not_for_people() -> None:
    world = World(24 * GIB, settings=Settings(pause=Pausing(enabled=False)))
    training = world.train(20, 0.9)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING
    world.command(m.Pause(job=str(training)))
    assert world.state(training) is JobState.PAUSING


def test_a_training_that_finishes_while_it_is_asked_has_finished() -> None:
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    world.exit(training, code=0)
    assert world.state(training) is JobState.FINISHED
    assert world.state(light) is JobState.STARTING


def test_nobody_is_asked_for_room_that_an_end_is_about_to_free() -> None:
    """A job has ended and is not yet seen gone: its room comes without a pause."""
    world = World(24 * GIB)
    training = world.train(10, 0.3)
    other = world.start(10, 0.3)
    world.say(world.launcher(other), m.Exited(job=other, attempt=1, code=0))
    light = world.submit(10, 0.3, priority=50)
    assert world.state(training) is JobState.RUNNING
    world.sample()
    assert world.state(light) is JobState.STARTING


def test_without_its_launcher_a_training_that_was_asked_goes_on() -> None:
    world, training = training_world()
    world.submit(12, 0.5, priority=50)
    world.durable(training, world.request(training))
    world.end_of_launcher(training)
    assert world.state(training) is JobState.RUNNING
    assert world.got(m.GoOn, world.trainer(training))


def test_a_paused_job_whose_launcher_is_gone_is_lost_with_its_checkpoint() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.end_of_launcher(training)
    assert world.state(training) is JobState.LOST
    assert world.job(training).checkpoint


def test_a_device_that_never_shows_free_admits_nobody() -> None:
    """The tree was ended, but the driver still shows the training's memory."""
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    request = world.request(training)
    world.durable(training, request)
    process = world.job(training).process
    assert process is not None
    world.say(
        world.launcher(training),
        m.Exited(job=training, attempt=1, code=137, request=request),
    )
    import msgspec

    from gpurun.coordinator.core.events import SampleEvent
    from gpurun.coordinator.core.sample import ProcessSample

    stuck = ProcessSample(pid=process.pid, start_time=1, memory=20 * GIB, job=training)
    device = msgspec.structs.replace(world._device(0, "GPU-0"), free=4 * GIB, processes=(stuck,))
    world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(device,)))
    assert world.state(training) is JobState.PAUSING
    assert world.state(light) is JobState.QUEUED
    world.sample()
    assert world.state(light) is JobState.STARTING


def test_pitfall_15_the_reason_of_an_asked_training_is_that_it_has_not_come_to_a_safe_point() -> (
    None
):
    from gpurun.coordinator.core.view import job_view

    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    world.advance(61.0)
    view = job_view(world.scheduler.state, world.job(training), str)
    assert view.reason is not None
    assert view.reason.code == ReasonCode.SAFE_POINT


def test_a_person_may_ask_a_training_that_is_on_its_way_back() -> None:
    """It is asked as soon as it is in its loop again; the command waits."""
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Resume(job=str(training)))
    world.spawn(training)
    assert world.state(training) is JobState.RESUMING
    answer = world.command(m.Pause(job=str(training)))
    assert isinstance(answer, m.Done)
    assert answer.pending
    peer = world.attach(training)
    assert world.got(m.PauseRequest, peer) == []
    attempt = world.job(training).attempt
    world.say(peer, m.Resumed(job=training, attempt=attempt, token="t", step=7))
    world.capture(training)
    assert world.state(training) is JobState.PAUSED
    assert world.job(training).held
    done = [reply for _, reply in world.sent if isinstance(reply, m.Done)]
    assert done[-1].text.endswith(f"is paused; gpurun resume {training} lets it go on")


def test_a_release_is_in_the_story_at_its_own_instant() -> None:
    """The kernel's word for the end can be faster than the launcher's: the device is free then."""
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.durable(training, request)
    world.end_of_process(training)
    assert [e.trigger for e in world.effects if isinstance(e, Record)] == ["process ended"]
    world.gone.add(training)
    world.sample()
    assert [e.trigger for e in world.effects if isinstance(e, Record)] == ["seen gone"]
    assert not world.job(training).charged
    world.exit(training, code=137, request=request)
    assert world.state(training) is JobState.PAUSED
