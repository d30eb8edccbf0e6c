"""A job that has ended runs again as the same job, from its checkpoint or anew."""

import msgspec
import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.order import in_order
from gpurun.coordinator.core.settings import Queueing, Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import Again, JobState, ReasonCode
from gpurun.protocol.quantity import GIB

ANEW = Again(checkpoint="")
FROM = Again(checkpoint="/checkpoints/7")


def failed_world(**spec: object) -> tuple[World, int]:
    """A training that has failed, on a device that is seen free."""
    world = World(24 * GIB)
    job = world.train(20, 0.9, **spec)
    world.exit(job, code=1)
    assert world.state(job) is JobState.FAILED
    return world, job


def test_a_failed_job_goes_on_from_its_checkpoint_as_its_next_attempt() -> None:
    world, job = failed_world()
    launcher = world.rerun(job, FROM)
    assert world.last(m.Accepted, launcher).job == job
    grant = world.last(m.Grant, launcher)
    assert (grant.job, grant.attempt, grant.resume) == (job, 2, FROM.checkpoint)
    assert world.state(job) is JobState.RESUMING
    world.come_back(job)
    found = world.job(job)
    assert (found.state, found.exit_code, found.ended_at) == (JobState.RUNNING, None, None)
    world.exit(job)
    assert world.state(job) is JobState.FINISHED
    assert world.job(job).exit_code == 0


def test_a_job_that_begins_anew_is_given_no_checkpoint() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    world.command(m.Pause(job=str(job)))
    world.capture(job)
    world.command(m.Resume(job=str(job)))
    world.come_back(job)
    world.exit(job, code=1)
    launcher = world.rerun(job, ANEW)
    assert world.state(job) is JobState.STARTING
    assert world.last(m.Grant, launcher).resume == ""
    world.spawn(job)
    assert world.state(job) is JobState.RUNNING
    assert world.job(job).checkpoint == ""


def test_a_lost_job_is_resumed_with_what_its_launcher_needs_to_start_it() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9, uuid="u")
    world.command(m.Pause(job=str(job)))
    world.capture(job)
    world.end_of_launcher(job)
    assert world.state(job) is JobState.LOST
    answer = world.command(m.Resume(job=str(job)))
    assert answer == m.RetryReply(job=job, uuid="u", state="lost")
    assert world.state(job) is JobState.LOST, "nothing changes before its launcher is there"
    world.rerun(job, FROM)
    assert world.state(job) is JobState.RESUMING


def test_a_question_is_answered_and_changes_nothing() -> None:
    world, job = failed_world(uuid="u", name="train.py")
    before = world.job(job)
    for reference in (str(job), "train.py"):
        answer = world.command(m.Retry(job=reference))
        assert answer == m.RetryReply(job=job, uuid="u", state="failed")
    assert world.job(job) is before


def test_a_name_of_two_ended_jobs_is_not_guessed() -> None:
    world = World(24 * GIB)
    for _ in range(2):
        world.exit(world.start(6, 0.1, name="x.py"), code=1)
    answer = world.command(m.Retry(job="x.py"))
    assert answer == m.Problem(text="'x.py' is the name of jobs 1, 2; say which by number", code=2)


def test_a_job_that_has_not_ended_is_not_run_again() -> None:
    world = World(24 * GIB)
    running, queued = world.start(20, 0.9, name="a"), world.submit(20, 0.9, name="b")
    for job, how in ((running, "job 1 (a) runs"), (queued, "job 2 (b) is queued")):
        text = f"{how}; gpurun cancel {job} ends it"
        assert world.command(m.Retry(job=str(job))) == m.Problem(text=text, code=2)
        before = world.job(job)
        stranger = world.rerun(job, FROM)
        assert world.last(m.Problem, stranger).text == text
        assert world.job(job) == before


def test_two_who_run_a_job_again_at_once_get_it_once() -> None:
    world, job = failed_world()
    first, second = world.rerun(job, FROM), world.rerun(job, FROM)
    assert world.got(m.Grant, first)
    assert world.last(m.Problem, second).text.startswith("job 1 (job1.py) is resuming; ")
    assert not world.got(m.Grant, second)
    assert world.job(job).attempt == 2


def test_an_answer_that_was_lost_is_given_again_to_the_same_launcher() -> None:
    world, job = failed_world()
    first = world.rerun(job, FROM)
    grant, sender, peer = world.last(m.Grant, first), world.job(job).launcher, world.peer()
    message = m.Submit(uuid=world.job(job).uuid, spec=world.job(job).spec, again=FROM)
    world.say(peer, message, sender=sender)
    assert world.last(m.Accepted, peer).job == job
    assert world.last(m.Grant, peer) == grant


@pytest.mark.parametrize("command", [m.Retry, m.Resume])
def test_nobody_runs_another_users_job_again(command: type[m.Message]) -> None:
    world, job = failed_world()
    answer = world.command(command(job=str(job)), uid=OTHER_USER)
    assert isinstance(answer, m.Problem)
    before = world.job(job)
    stranger = world.rerun(job, FROM, uid=OTHER_USER)
    assert world.last(m.Problem, stranger).text == f"job {job} belongs to user1000"
    assert world.job(job) == before


def test_a_job_that_is_not_known_any_more_is_no_new_job() -> None:
    world, job = failed_world()
    peer, spec = world.peer(), world.job(job).spec
    world.say(peer, m.Submit(uuid="forgotten", spec=spec, again=FROM))
    assert "not known any more" in world.last(m.Problem, peer).text
    assert not world.got(m.Accepted, peer)


def test_it_waits_until_its_last_attempt_is_seen_gone() -> None:
    """Its device is charged for that until then, and not for both."""
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=1))
    launcher = world.rerun(job, FROM)
    assert world.job(job).charged
    assert world.last(m.Waiting, launcher).reason.code is ReasonCode.STALE
    assert not world.got(m.Grant, launcher)
    world.sample()
    assert world.last(m.Grant, launcher).attempt == 2
    assert len(world.job(job).reservations) == 1


def test_a_late_word_of_the_attempt_before_does_not_end_it() -> None:
    world, job = failed_world()
    world.start(20, 0.9)
    world.rerun(job, FROM)
    world.say(world.peer(), m.Exited(job=job, attempt=1, code=1))
    assert world.state(job) is JobState.PAUSED


def test_what_was_told_and_adjusted_holds_and_what_it_waited_for_does_not() -> None:
    world = World(24 * GIB)
    first = world.start(6, 0.1)
    second = world.submit(6, 0.1, after=(str(first),))
    world.command(m.Adjust(job=str(second), priority=7))
    world.exit(first, code=1)
    assert world.state(second) is JobState.CANCELLED
    found, peer = world.job(second), world.peer()
    spec = msgspec.structs.replace(found.spec, priority=0, no_respawn="its stdin is a pipe")
    world.say(peer, m.Submit(uuid=found.uuid, spec=spec, again=ANEW))
    assert world.state(second) is JobState.STARTING
    again = world.job(second).spec
    assert (again.priority, again.no_respawn, again.after) == (7, "its stdin is a pipe", ())


def test_one_that_was_cancelled_while_it_waited_for_another_starts_at_once() -> None:
    world = World(24 * GIB)
    first = world.start(6, 0.1)
    second = world.submit(6, 0.1, after=(str(first),))
    world.command(m.Cancel(job=str(second)))
    world.rerun(second, ANEW)
    assert world.state(second) is JobState.STARTING


def test_it_comes_into_the_queue_like_a_job_that_comes_now() -> None:
    """It gave way to nobody: neither its checkpoint nor its first waiting puts it before others."""
    world = World(24 * GIB)
    blocker = world.start(20, 0.9)
    job = world.submit(20, 0.9)
    world.advance(100.0)
    world.exit(blocker)
    world.spawn(job)
    world.exit(job, code=1)
    world.start(20, 0.9)
    world.advance(10.0)
    others = [world.submit(20, 0.9) for _ in range(2)]
    world.advance(10.0)
    for again in (ANEW, FROM):
        world.say(world.rerun(job, again), m.Leave(job=job))
        world.rerun(job, again)
        assert line(world) == [*others, job]
        world.advance(world.settings.pause.max_paused + 1)
        assert line(world) == [*others, job]
        world.command(m.Cancel(job=str(job)))


def line(world: World) -> list[int]:
    """Who goes next, first in line first."""
    state = world.scheduler.state
    return [job.id for job in in_order(state.jobs, state.settings.pause, world.now)]


def test_a_limit_for_each_user_holds_for_it_too() -> None:
    world = World(24 * GIB, settings=Settings(queue=Queueing(max_jobs_per_user=1)))
    job = world.start(6, 0.1)
    world.exit(job, code=1)
    world.start(6, 0.1)
    assert "max_jobs_per_user" in world.last(m.Problem, world.rerun(job, FROM)).text
    assert world.state(job) is JobState.FAILED


def test_one_that_waits_and_is_given_up_can_be_run_again() -> None:
    world, job = failed_world()
    world.start(20, 0.9)
    for again, left in ((FROM, JobState.LOST), (ANEW, JobState.CANCELLED)):
        world.rerun(job, again)
        world.end_of_launcher(job)
        assert world.state(job) is left
    launcher = world.rerun(job, FROM)
    world.say(launcher, m.Leave(job=job))
    assert world.state(job) is JobState.CANCELLED


def test_a_new_coordinator_finds_it_alive() -> None:
    world, job = failed_world()
    world.rerun(job, FROM)
    world.spawn(job)
    world.restart()
    assert world.state(job) is JobState.RESUMING
    assert world.job(job).checkpoint == FROM.checkpoint


def test_an_ended_job_is_run_again_by_another_coordinator_too() -> None:
    world, job = failed_world()
    world.restart()
    world.rerun(job, FROM)
    world.advance(3.0)
    assert world.state(job) is JobState.RESUMING
