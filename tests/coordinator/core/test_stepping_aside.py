"""Whom the scheduler asks to step aside, and what a pause answers."""

from tests.coordinator.core.world import World

from gpurun.coordinator.core.settings import Pausing, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def training_world(**spec: object) -> tuple[World, int]:
    """A device that one pausable training fills."""
    world = World(24 * GIB)
    return world, world.train(20, 0.9, **spec)


def test_who_frees_too_little_is_not_asked_beside_who_frees_enough() -> None:
    """The lesser one comes first, but the greater one alone is enough."""
    world = World(24 * GIB)
    large = world.train(14, 0.3)
    small = world.train(4, 0.3, priority=-10)
    world.submit(12, 0.3, priority=50)
    assert world.state(large) is JobState.PAUSING
    assert world.state(small) is JobState.RUNNING


def test_a_training_that_is_still_coming_back_is_not_asked() -> None:
    """It has attached, and its checkpoint is not loaded yet."""
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Resume(job=str(training)))
    world.spawn(training)
    world.attach(training)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RESUMING


def test_a_cancelled_training_is_not_asked() -> None:
    world, training = training_world()
    world.command(m.Cancel(job=str(training)))
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING


def test_a_task_as_long_as_the_longest_absence_may_ask() -> None:
    world, training = training_world()
    world.submit(12, 0.5, priority=50, time=3600.0)
    assert world.state(training) is JobState.PAUSING


def test_who_has_just_come_back_is_immune_until_the_last_second() -> None:
    """Two light tasks in a row cannot play ping-pong with a training."""
    world = World(24 * GIB, settings=Settings(pause=Pausing(min_run=600.0)))
    training = world.train(20, 0.9)
    light = world.submit(12, 0.5, priority=50)
    world.capture(training)
    world.spawn(light)
    world.exit(light)
    world.come_back(training)
    world.submit(12, 0.5, priority=50)
    world.advance(599.0)
    assert world.state(training) is JobState.RUNNING
    world.advance(1.0)
    assert world.state(training) is JobState.PAUSING


def test_words_about_another_request_or_after_the_pause_change_nothing() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    request, trainer = world.request(training), world.trainer(training)

    def refused(number: int) -> m.Refused:
        return m.Refused(job=training, attempt=1, token="t", request=number, text="no")

    def overdue(number: int) -> m.Overdue:
        return m.Overdue(job=training, attempt=1, token="t", request=number)

    for other in (request - 1, request + 1):
        capturing = m.Capturing(job=training, attempt=1, token="t", request=other)
        for message in (refused(other), overdue(other), capturing):
            world.say(trainer, message)
    order = world.job(training).pause
    assert order is not None
    assert (order.stage, order.overdue) == ("asked", False)
    world.capture(training)
    for message in (refused(request), overdue(request)):
        world.say(trainer, message)
    assert world.state(training) is JobState.PAUSED


def test_each_request_has_a_number_of_its_own_and_the_configured_deadline() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    first = world.last(m.PauseRequest, world.trainer(training))
    assert (first.deadline, first.how) == (world.now + 60.0, "exit")
    world.command(m.Resume(job=str(training)))
    world.command(m.Pause(job=str(training)))
    assert world.request(training) == first.request + 1
    world.restart()
    world.attach(training)
    assert world.request(training) == first.request + 1, "it is the same request, asked anew"


def test_a_person_who_joins_a_pause_keeps_the_job_paused() -> None:
    """Asked by the scheduler first; when the light task has run, the hold is still there."""
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    joined = world.command(m.Pause(job=str(training)))
    assert isinstance(joined, m.Done)
    assert joined.pending
    world.capture(training)
    world.spawn(light)
    world.exit(light)
    assert world.state(training) is JobState.PAUSED
    assert world.last(m.Paused, world.launcher(training)).text.startswith("by hand")


def test_a_pause_that_only_the_scheduler_wanted_says_for_whom_and_how_long() -> None:
    world, training = training_world()
    first = world.submit(8, 0.3, priority=50, time=60.0, name="a.py")
    second = world.submit(8, 0.3, priority=50, time=90.0, name="b.py")
    world.capture(training)
    text = world.last(m.Paused, world.launcher(training)).text
    names = f"job {first} (a.py) and job {second} (b.py)"
    assert text == f"for {names} (time: about 1:30); it goes on by itself"
    assert world.state(second) is JobState.STARTING


def test_a_job_in_between_is_to_be_asked_again() -> None:
    world = World(24 * GIB)
    job = world.submit(6, 0.1)
    refusal = world.command(m.Pause(job=str(job)))
    assert isinstance(refusal, m.Problem)
    assert "is starting; ask again in a moment" in refusal.text
    assert refusal.code == 1


def test_who_runs_cannot_be_resumed() -> None:
    world, training = training_world()
    refusal = world.command(m.Resume(job=str(training)))
    assert isinstance(refusal, m.Problem)
    assert "is running already" in refusal.text
    assert refusal.code == 1


def test_a_resume_after_the_capture_lets_it_come_back_by_itself() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.durable(training, request)
    answer = world.command(m.Resume(job=str(training)))
    assert isinstance(answer, m.Done)
    assert "goes on as soon as there is room" in answer.text
    world.exit(training, code=137, request=request)
    assert world.state(training) is JobState.RESUMING


def test_a_resume_before_the_capture_says_that_it_goes_on() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    answer = world.command(m.Resume(job=str(training)))
    assert isinstance(answer, m.Done)
    assert answer.text.endswith("goes on")
    assert not answer.pending


def test_a_person_cannot_take_back_what_the_scheduler_asked_for() -> None:
    """It would be asked again in the same pass; the answer says for whom it steps aside."""
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    answer = world.command(m.Resume(job=str(training)))
    assert isinstance(answer, m.Done)
    assert f"for job {light}" in answer.text
    assert world.state(training) is JobState.PAUSING
    assert len(world.got(m.PauseRequest, world.trainer(training))) == 1


def test_a_persons_wish_taken_back_leaves_the_schedulers_in_force() -> None:
    world, training = training_world()
    light = world.submit(12, 0.5, priority=50)
    world.command(m.Pause(job=str(training)))
    world.command(m.Resume(job=str(training)))
    assert not world.job(training).held
    world.say(world.launcher(light), m.Leave(job=light))
    assert world.state(training) is JobState.RUNNING


def test_a_job_in_which_two_trainings_run_is_not_paused() -> None:
    """The pause would end both, and save one."""
    world, training = training_world()
    world.attach(training, pid=4712)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is JobState.RUNNING
    refusal = world.command(m.Pause(job=str(training)))
    assert isinstance(refusal, m.Problem)
    assert "2 trainings run in it at once" in refusal.text


def test_a_second_training_takes_back_what_was_asked_of_the_first() -> None:
    world, training = training_world()
    world.command(m.Pause(job=str(training)))
    first = world.trainer(training)
    world.attach(training, pid=4712)
    assert world.state(training) is JobState.RUNNING
    assert world.got(m.GoOn, first)


def test_when_one_of_two_trainings_is_over_the_other_can_be_paused() -> None:
    world, training = training_world()
    first = world.trainer(training)
    second = world.attach(training, pid=4712)
    world.say(second, m.Detach(job=training, attempt=1, token="t", pid=4712))
    world.command(m.Pause(job=str(training)))
    assert world.state(training) is JobState.PAUSING
    assert world.got(m.PauseRequest, first)
    assert not world.got(m.PauseRequest, second)


def test_a_training_that_is_over_is_not_waited_for() -> None:
    """The script goes on to something else: nothing there could come to a safe point."""
    world, training = training_world()
    person = world.peer()
    world.say(person, m.Pause(job=str(training)))
    detach = m.Detach(job=training, attempt=1, token="t", pid=4711)
    world.say(world.trainer(training), detach)
    assert world.state(training) is JobState.RUNNING
    assert world.got(m.Problem, person)
    refusal = world.command(m.Pause(job=str(training)))
    assert isinstance(refusal, m.Problem)


def test_the_next_attempt_begins_with_no_training() -> None:
    world, training = training_world()
    world.attach(training, pid=4712)
    world.say(world.trainer(training), m.Detach(job=training, attempt=1, token="t", pid=4711))
    world.command(m.Pause(job=str(training)))
    world.capture(training)
    world.command(m.Resume(job=str(training)))
    assert world.job(training).trainings == ()
