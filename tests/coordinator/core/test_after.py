"""`--after`: a job starts when others have finished with 0, and is cancelled when one has not."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobSpec, JobState, ReasonCode
from gpurun.protocol.quantity import GIB


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def refusal(world: World, *after: str) -> str:
    spec = JobSpec(command=("true",), cwd="/", name="true", after=after)
    answer = world.command(m.Submit(uuid="refused", spec=spec))
    assert isinstance(answer, m.Problem)
    assert answer.code == 2
    return answer.text


def test_a_job_starts_when_all_that_it_waits_for_have_finished(world: World) -> None:
    """By number or name; there is room for it all the while."""
    first = world.start(2, 0.1, name="first.py")
    second = world.start(2, 0.1)
    third = world.submit(2, 0.1, after=("first.py", str(second)))
    waiting = world.last(m.Waiting, world.launcher(third))
    assert waiting.reason.code is ReasonCode.AFTER
    assert "job 1 (first.py), job 2" in waiting.reason.text
    world.exit(first)
    assert world.state(third) is JobState.QUEUED
    world.exit(second)
    assert world.state(third) is JobState.STARTING


def test_what_has_finished_already_is_not_waited_for(world: World) -> None:
    first = world.start(2, 0.1)
    world.exit(first)
    second = world.submit(2, 0.1, after=(str(first),))
    assert world.state(second) is JobState.STARTING


def test_a_failure_cancels_those_that_come_after_and_theirs(world: World) -> None:
    """Each launcher is told why."""
    first = world.start(2, 0.1)
    second = world.submit(2, 0.1, after=(str(first),))
    third = world.submit(2, 0.1, after=(str(second),))
    launchers = [world.launcher(job) for job in (second, third)]
    world.exit(first, code=1)
    assert [world.state(job) for job in (second, third)] == [JobState.CANCELLED] * 2
    ends = [world.last(m.Ended, peer).text for peer in launchers]
    assert ends[0] == "job 1 (job1.py) has ended: failed, and it was to start after"
    assert ends[1] == "job 2 (job2.py) has been cancelled, and it was to start after"


def test_a_cancelled_job_cancels_those_that_come_after(world: World) -> None:
    first = world.start(2, 0.1)
    second = world.submit(2, 0.1, after=(str(first),))
    world.command(m.Cancel(job=str(first)))
    world.exit(first, code=143)
    assert world.state(second) is JobState.CANCELLED


def test_what_will_never_finish_is_refused_at_once(world: World) -> None:
    failed = world.start(2, 0.1)
    world.exit(failed, code=1)
    assert "job 1 (job1.py) has ended (failed) and will not finish" in refusal(world, str(failed))
    assert refusal(world, "nobody").startswith("--after nobody: there is no job named 'nobody'")
    assert refusal(world, "77").startswith("--after 77: there is no job 77")


def test_who_waits_for_others_stands_in_nobodys_way(world: World) -> None:
    """Its need is not set aside before it may start."""
    first = world.start(2, 0.1)
    world.submit(24, 0.9, after=(str(first),), priority=50)
    other = world.submit(18, 0.5)
    assert world.state(other) is JobState.STARTING


def test_a_restart_forgets_no_dependence(world: World) -> None:
    first = world.start(2, 0.1)
    second = world.submit(2, 0.1, after=(str(first),))
    world.restart()
    assert world.job(second).after == (first,)
    world.say(world.peer(), m.Exited(job=first, attempt=1, code=1))
    assert world.state(second) is JobState.CANCELLED


def out_of_memory(world: World) -> tuple[int, int]:
    """A job that is to be run again with more memory, and one that waits for it."""
    first = world.start(2, 0.1, retry_oom=True)
    second = world.submit(2, 0.1, after=(str(first),))
    peer, needed = world.launcher(first), 8 * GIB
    world.say(peer, m.OutOfMemory(job=first, attempt=1, token="t", needed=needed))
    world.exit(first, code=1)
    assert world.job(first).oom
    return first, second


def test_who_waits_for_a_job_that_is_run_again_waits_for_its_retry(world: World) -> None:
    """`--retry-oom`: it has not finished yet, and may."""
    first, second = out_of_memory(world)
    retry = world.start(9, 0.1, retry_of=first)
    assert world.job(second).after == (retry,)
    world.exit(retry)
    assert world.state(second) is JobState.STARTING


def test_where_no_retry_comes_nobody_waits_for_it_for_ever(world: World) -> None:
    """Its launcher was killed, perhaps."""
    _, second = out_of_memory(world)
    assert world.state(second) is JobState.QUEUED
    world.advance(11.0)
    assert world.state(second) is JobState.CANCELLED


def test_a_restart_in_between_changes_nothing_of_that(world: World) -> None:
    first, second = out_of_memory(world)
    world.restart()
    retry = world.submit(9, 0.1, retry_of=first)
    assert world.job(second).after == (retry,)


def test_nobody_takes_the_place_of_another_users_job(world: World) -> None:
    first, second = out_of_memory(world)
    world.submit(9, 0.1, retry_of=first, uid=OTHER_USER)
    assert world.job(second).after == (first,)
