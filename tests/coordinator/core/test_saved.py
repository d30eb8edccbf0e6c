"""A checkpoint that was made without a pause is the one from which a crash goes on."""

import pytest
from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB

SAVED = "/checkpoints/1/5"


def saved(world: World, job: int, attempt: int = 1, uid: int = 1000) -> None:
    message = m.Saved(
        job=job, attempt=attempt, token="t", checkpoint=SAVED, step=5, size=1000, seconds=0.25
    )
    world.say(world.peer(), message, uid=uid)


def test_it_is_stored_and_the_training_runs_on() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    saved(world, job)
    assert world.state(job) is JobState.RUNNING
    assert world.stored[job].checkpoint == SAVED
    assert world.details(job, "saved") == ["step 5, 1000 bytes in 0.250 s"]


@pytest.mark.parametrize("end", ["crash", "lost"])
def test_it_stays_known_when_the_job_has_ended(end: str) -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    saved(world, job)
    if end == "crash":
        launcher = world.launcher(job)
        world.exit(job, code=1)
        assert world.last(m.Ended, launcher).text.endswith(
            "; gpurun retry 1 goes on from its last checkpoint"
        )
    else:
        world.end_of_launcher(job)
        world.end_of_process(job)
    assert world.state(job) is (JobState.FAILED if end == "crash" else JobState.LOST)
    assert world.job(job).checkpoint == SAVED


def test_one_that_comes_while_a_pause_is_asked_for_counts() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    world.command(m.Pause(job=str(job)))
    saved(world, job)
    assert world.job(job).checkpoint == SAVED
    world.capture(job)
    assert world.job(job).checkpoint == "/checkpoints/1/7"


def test_a_late_word_does_not_displace_what_a_pause_saved() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    world.command(m.Pause(job=str(job)))
    world.durable(job, world.request(job))
    saved(world, job)
    assert world.job(job).checkpoint == "/checkpoints/1/7"
    world.exit(job, code=137, request=world.request(job))
    saved(world, job)
    assert world.job(job).checkpoint == "/checkpoints/1/7"


@pytest.mark.parametrize("wrong", [{"attempt": 2}, {"uid": 1001}])
def test_a_word_of_another_attempt_or_user_changes_nothing(wrong: dict[str, int]) -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    before = world.job(job)
    saved(world, job, **wrong)
    assert world.job(job) == before


def test_a_job_that_has_not_started_has_none() -> None:
    """Its lease may lapse, and then it begins at its beginning."""
    world = World(24 * GIB)
    job = world.submit(20, 0.9)
    saved(world, job)
    assert world.job(job).checkpoint == ""
