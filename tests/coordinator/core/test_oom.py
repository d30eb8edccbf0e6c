"""An end for lack of memory is recognised, said in plain words, and raises the next estimate."""

import pytest
from tests.coordinator.core.test_learning import TRAIN, estimated_for, run, spec
from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def run_out(world: World, job: int, needed: float = 0, code: int = 1) -> m.Ended:
    """The training says that it ran out, and ends."""
    message = m.OutOfMemory(
        job=job, attempt=world.job(job).attempt, token="t", needed=int(needed * GIB)
    )
    world.say(world.peer(), message)
    launcher = world.launcher(job)
    world.exit(job, code)
    return world.last(m.Ended, launcher)


def test_a_told_job_hears_what_to_ask_for_next_time() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1, program=TRAIN)
    world.use(job, 4, looks=3)
    ended = run_out(world, job)
    assert ended.text == (
        "out of memory: peak 4.0 GiB of 4.0 GiB reserved; next time ask for --mem 5.0GiB"
    )
    assert ended.ask_for == 5 * GIB
    assert world.job(job).oom
    assert world.details(job, "failed") == ["exit code 1, out of memory"]


def test_what_the_training_would_have_needed_is_believed_where_it_is_more() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1, program=TRAIN)
    world.use(job, 4, looks=3)
    ended = run_out(world, job, needed=10)
    assert ended.ask_for == 10.5 * GIB
    assert "10.0 GiB needed; next time ask for --mem 10.5GiB" in ended.text


def test_the_next_estimate_of_a_learned_program_is_raised() -> None:
    world = World(24 * GIB)
    run(world, 4)
    job = world.start(program=TRAIN)
    world.use(job, 4.2, looks=3)
    ended = run_out(world, job)
    found = estimated_for(world, spec(TRAIN)).memory
    assert found == ended.ask_for == pytest.approx(4.2 * 1.25 * GIB, rel=0.01)
    assert ended.text.endswith("next time 5.2 GiB will be reserved")


def test_a_training_that_outlives_a_failed_allocation_has_not_ended_for_it() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1, program=TRAIN)
    world.use(job, 4, looks=5)
    ended = run_out(world, job, code=0)
    assert ended.ask_for == 0
    assert not world.job(job).oom
    assert world.profiles[-1].complete


def test_an_earlier_attempts_failed_allocation_does_not_speak_of_this_one() -> None:
    world = World(24 * GIB)
    job = world.train(8)
    attempt = world.job(job).attempt
    world.say(world.peer(), m.OutOfMemory(job=job, attempt=attempt, token="t"))
    world.command(m.Pause(job=str(job)))
    world.capture(job)
    world.command(m.Resume(job=str(job)))
    world.come_back(job)
    world.exit(job, 1)
    assert not world.job(job).oom


def test_a_failure_on_a_full_device_is_one_for_lack_of_memory() -> None:
    """What a program without the SDK shows: its exit code, and a device with nothing left."""
    world = World(24 * GIB)
    job = world.start(12, 0.1, program=TRAIN)
    world.external["GPU-0"] = (12 * GIB, 0.0)
    world.use(job, 11.8, looks=3)
    world.exit(job, 1)
    assert world.job(job).oom


@pytest.mark.parametrize("code", [126, 127, 128 + 15, 128 + 9])
def test_a_program_that_was_killed_or_not_found_did_not_run_out(code: int) -> None:
    world = World(24 * GIB)
    job = world.start(12, 0.1, program=TRAIN)
    world.external["GPU-0"] = (12 * GIB, 0.0)
    world.use(job, 11.8, looks=3)
    world.exit(job, code)
    assert not world.job(job).oom


def test_a_failure_beside_free_memory_is_none() -> None:
    """Its reservation is no limit: that it was reached says nothing."""
    world = World(24 * GIB)
    job = world.start(12, 0.1, program=TRAIN)
    world.use(job, 12, looks=3)
    world.exit(job, 1)
    assert not world.job(job).oom


def test_a_cancelled_job_did_not_run_out() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1, program=TRAIN)
    world.command(m.Cancel(job=str(job)))
    run_out(world, job)
    assert (world.state(job), world.job(job).oom) == (JobState.CANCELLED, False)


def test_where_no_device_has_more_that_is_said() -> None:
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 23, looks=3)
    ended = run_out(world, job)
    assert ended.ask_for == 0
    assert ended.text.endswith("; no device here has much more: make the program smaller")


def test_one_that_never_was_seen_still_teaches() -> None:
    """It ran out before the first look at it."""
    world = World(24 * GIB)
    job = world.start(4, 0.1, program=TRAIN)
    run_out(world, job, needed=9)
    found = estimated_for(world, spec(TRAIN))
    assert (found.basis, found.memory) == ("inferred", int(9 * GIB * 1.05))


def test_a_training_that_needs_more_than_any_device_has_is_not_sent_for_more() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1, program=TRAIN)
    assert run_out(world, job, needed=30).ask_for == 0
