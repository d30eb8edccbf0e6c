"""Programs that fail again and again as they start: the rest of them is held."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ProgramId, ReasonCode
from gpurun.protocol.quantity import GIB

SCRIPT = ProgramId(path="/home/user/train.py", interpreter="python")


@pytest.fixture
def world() -> World:
    return World(24 * GIB)


def submit(world: World, program: ProgramId | None = SCRIPT, **spec: object) -> int:
    return world.submit(20, 0.5, program=program, **spec)


def fail(world: World, job: int, after: float = 1.0, code: int = 1) -> None:
    world.spawn(job)
    world.advance(after)
    world.exit(job, code=code)


def batch(world: World, number: int = 5) -> list[int]:
    """Jobs of one script with other arguments; one runs at a time."""
    return [
        submit(world, ProgramId(path=SCRIPT.path, interpreter="python", arguments=(str(n),)))
        for n in range(number)
    ]


def test_the_third_early_failure_in_a_row_holds_those_that_wait(world: World) -> None:
    """Each says why, and how it goes on."""
    jobs = batch(world)
    for job in jobs[:3]:
        fail(world, job)
    assert [world.job(job).held for job in jobs[3:]] == [True, True]
    reason = world.last(m.Waiting, world.launcher(jobs[3])).reason
    assert reason.code is ReasonCode.HELD
    assert "(jobs 1, 2, 3) have failed within a minute of their start" in reason.text
    assert reason.text.endswith(f"gpurun resume {jobs[3]} lets it go on")


def test_a_held_job_goes_on_when_it_is_told_to(world: World) -> None:
    jobs = batch(world)
    for job in jobs[:3]:
        fail(world, job)
    world.command(m.Resume(job=str(jobs[3])))
    assert world.state(jobs[3]) is JobState.STARTING
    assert world.job(jobs[3]).held_for == ""


def test_a_success_in_between_starts_the_count_anew(world: World) -> None:
    jobs = batch(world)
    for job, code in zip(jobs, (1, 1, 0, 1), strict=False):
        fail(world, job, code=code)
    assert world.state(jobs[4]) is JobState.STARTING


def test_a_failure_after_a_minute_is_none_of_the_start(world: World) -> None:
    jobs = batch(world)
    for job in jobs[:3]:
        fail(world, job, after=61.0)
    assert world.state(jobs[3]) is JobState.STARTING


def test_other_programs_and_other_users_are_not_held(world: World) -> None:
    jobs = batch(world, 3)
    other = submit(world, ProgramId(path="/home/user/other.py", interpreter="python"))
    foreign = submit(world, SCRIPT, uid=OTHER_USER)
    for job in jobs:
        fail(world, job)
    assert [world.job(job).held for job in (other, foreign)] == [False, False]


def test_an_executable_is_another_program_with_other_words(world: World) -> None:
    """Of `sh -c …` the path says nothing."""
    jobs = [
        submit(world, ProgramId(path="/bin/sh", arguments=("-c", f"exit {n}"), folder="/"))
        for n in range(5)
    ]
    for job in jobs[:4]:
        fail(world, job)
    assert world.state(jobs[4]) is JobState.STARTING


def test_one_that_is_submitted_afterwards_is_not_held(world: World) -> None:
    """Somebody has looked, and tries again."""
    for job in batch(world, 3):
        fail(world, job)
    assert world.state(submit(world)) is JobState.STARTING


def two_failed_and_one_untold(world: World) -> list[int]:
    """A batch of which two have failed and the third has ended, says the kernel alone."""
    jobs = batch(world)
    for job in jobs[:2]:
        fail(world, job)
    world.spawn(jobs[2])
    world.end_of_process(jobs[2])
    world.gone.add(jobs[2])
    return jobs


def test_the_kernels_word_of_an_end_lets_no_fourth_one_start(world: World) -> None:
    """It comes before the launcher's, which alone knows the exit code."""
    jobs = two_failed_and_one_untold(world)
    world.sample()
    assert not world.job(jobs[2]).charged
    assert world.state(jobs[3]) is JobState.QUEUED
    world.say(world.launcher(jobs[2]), m.Exited(job=jobs[2], attempt=1, code=1))
    assert [world.job(job).held for job in jobs[3:]] == [True, True]


def test_a_launcher_that_does_not_tell_holds_nobody_for_long(world: World) -> None:
    jobs = two_failed_and_one_untold(world)
    world.advance(3.0)
    assert world.state(jobs[3]) is JobState.STARTING


def test_who_was_told_to_end_has_not_failed(world: World) -> None:
    """By kill, or Ctrl-C."""
    jobs = batch(world)
    for job, code in zip(jobs, (143, 130, 143), strict=False):
        fail(world, job, code=code)
    assert world.state(jobs[3]) is JobState.STARTING
