"""Whose word counts: the owner's and root's, for the present attempt, of a job that lives."""

import msgspec
import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.job import Job
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def asked() -> tuple[World, int]:
    """A training that is asked to pause: it answers to everything that one can say."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    return world, training


def known(world: World) -> dict[int, Job]:
    return dict(world.scheduler.state.jobs)


def words(job: int, attempt: int, request: int) -> list[m.Message]:
    """What launcher and training may say of an attempt that runs."""
    names = m.Capturing(job=job, attempt=attempt, token="t", request=request)
    durable = m.Durable(
        job=job,
        attempt=attempt,
        token="t",
        request=request,
        checkpoint="/c",
        step=1,
        size=1,
        seconds=0.1,
    )
    return [
        m.Attach(pid=4711, job=job, attempt=attempt, token="t", pausable=("nap",)),
        names,
        m.Overdue(job=job, attempt=attempt, token="t", request=request),
        durable,
        m.Refused(job=job, attempt=attempt, token="t", request=request, text="no"),
        m.Resumed(job=job, attempt=attempt, token="t", step=1),
        m.Spawned(job=job, attempt=attempt, pid=1, start_time=1),
        m.SpawnFailed(job=job, attempt=attempt, code=1),
        m.Exited(job=job, attempt=attempt, code=0),
        m.AskAgain(job=job, attempt=attempt),
    ]


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_word_of_another_attempt_changes_nothing(attempt: int) -> None:
    world, training = asked()
    before = known(world)
    for message in words(training, attempt, world.request(training)):
        world.say(world.peer(), message)
        assert known(world) == before, message


def test_a_word_of_another_user_changes_nothing() -> None:
    world, training = asked()
    before = known(world)
    for message in [*words(training, 1, world.request(training)), m.Leave(job=training)]:
        world.say(world.peer(), message, uid=OTHER_USER)
        assert known(world) == before, message


def test_a_word_of_another_user_for_a_lease_changes_nothing() -> None:
    world = World(24 * GIB)
    starting = world.submit(20, 0.9)
    before = known(world)
    for message in [*words(starting, 1, 1), m.Leave(job=starting)]:
        world.say(world.peer(), message, uid=OTHER_USER)
        assert known(world) == before, message


def test_the_uuid_of_another_users_job_gives_nothing_away() -> None:
    """Neither its grant nor its terminal's messages."""
    world = World(24 * GIB)
    job = world.submit(20, 0.9, uuid="same")
    launcher, peer = world.launcher(job), world.peer()
    spec = world.job(job).spec
    world.say(peer, m.Submit(uuid="same", spec=spec), uid=OTHER_USER)
    assert [type(message) for to, message in world.sent if to == peer] == [m.Problem]
    assert world.launcher(job) == launcher


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("99", "there is no job 99;"),
        ("1", "job 1 has ended (finished); gpurun status --all"),
        ("9" * 18, "there is no job 999"),
        ("9" * 19, "there is no job 999"),
        ("9" * 5000, "there is no job 999"),
        ("²", "there is no job named '²'"),
        ("٣", "there is no job named"),
        ("", "there is no job named ''"),
        ("done.py", "there is no job named 'done.py'"),
    ],
)
def test_a_job_that_is_not_there_is_answered_with_what_to_look_at(
    reference: str, words: str
) -> None:
    world = World(24 * GIB)
    world.exit(world.start(6, 0.1, name="done.py"))
    for command in (m.Cancel, m.Pause, m.Resume):
        problem = world.command(command(job=reference))
        assert isinstance(problem, m.Problem)
        assert problem.text.startswith(words)
        assert "gpurun status" in problem.text
        assert problem.code == 2


def test_a_job_that_has_ended_and_still_holds_its_device_has_ended() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.1, name="x.py")
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    assert world.job(job).charged
    for reference in (str(job), "x.py"):
        assert isinstance(world.command(m.Cancel(job=reference)), m.Problem)


# --- cancelling


def test_a_running_job_is_told_to_end_and_stays_until_it_has() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    answer = world.command(m.Cancel(job=str(job)))
    assert answer == m.Done(job=job, text=f"job {job} (job1.py) is cancelled")
    assert world.last(m.Terminate, world.launcher(job)).grace == 10.0
    assert world.state(job) is JobState.RUNNING


def test_a_job_whose_lease_is_out_stays_until_its_launcher_has_left() -> None:
    """It may be spawning this very moment."""
    world = World(24 * GIB)
    job = world.submit(20, 0.9)
    world.command(m.Cancel(job=str(job)))
    assert world.state(job) is JobState.STARTING
    world.end_of_launcher(job)
    assert world.state(job) is JobState.CANCELLED
    world.sample()
    assert not world.job(job).charged


def test_a_job_without_its_launcher_is_ended_by_a_person() -> None:
    """Nobody is there who could, and the answer says how."""
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.end_of_launcher(job)
    before = world.job(job)
    process = before.process
    assert process is not None
    answer = world.command(m.Cancel(job=str(job)))
    assert isinstance(answer, m.Problem)
    assert answer.text.endswith(f"is gone; end it with kill {process.pid}")
    assert answer.code == 1
    assert world.job(job) == before


def test_a_job_cancelled_between_its_tree_and_its_release_is_charged_until_it_is_seen_gone() -> (
    None
):
    world, training = asked()
    request = world.request(training)
    world.durable(training, request)
    exited = m.Exited(job=training, attempt=1, code=137, request=request)
    world.say(world.launcher(training), exited)
    world.now += 1.0
    world.command(m.Cancel(job=str(training)))
    assert world.state(training) is JobState.CANCELLED
    assert world.wants_sample()
    assert world.job(training).left == world.now
    assert world.job(training).charged


def test_a_cancelled_training_whose_tree_was_to_be_ended_is_over() -> None:
    """The word for the pause comes last: it does not bring a cancelled job back."""
    world, training = asked()
    request = world.request(training)
    world.durable(training, request)
    world.command(m.Cancel(job=str(training)))
    exited = m.Exited(job=training, attempt=1, code=137, request=request, survivors=(5, 6))
    launcher = world.launcher(training)
    world.say(launcher, exited)
    assert world.state(training) is JobState.CANCELLED
    assert world.got(m.Ended, launcher)


def test_an_end_is_answered_with_the_peak_and_the_next_reservation() -> None:
    world = World(24 * GIB)
    told = world.start(6, 0.1)
    launcher = world.launcher(told)
    world.exit(told)
    assert world.last(m.Ended, launcher) == m.Ended(
        job=told, text="peak 6.0 GiB of 6.0 GiB reserved as told; the same next time"
    )
    unknown = world.start(None, 0.1)
    launcher = world.launcher(unknown)
    world.exit(unknown)
    assert world.last(m.Ended, launcher).text == (
        "peak 21.6 GiB of 21.6 GiB reserved; next time again all that is left"
    )


def test_an_end_of_what_had_no_device_has_nothing_to_say() -> None:
    world = World(24 * GIB)
    job = world.start(gpus=0)
    launcher = world.launcher(job)
    world.exit(job)
    assert world.last(m.Ended, launcher).text == ""


def test_an_end_starts_a_new_window_and_names_who_lives_on() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.1)
    world.advance(2.0)
    device = world.scheduler.state.devices["GPU-0"]
    assert device.window is not None
    message = m.Exited(job=job, attempt=1, code=1, survivors=(5, 6))
    world.say(world.launcher(job), message)
    assert device.window is None
    records = [effect for effect in world.effects if getattr(effect, "trigger", "") == "failed"]
    details = [msgspec.to_builtins(record)["detail"] for record in records]
    assert details == ["exit code 1, 2 of its processes live on"]
