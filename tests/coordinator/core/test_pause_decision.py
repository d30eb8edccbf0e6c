"""Whether a pause is worth it, whom it costs least, and how much others may ask of a job."""

import pytest
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.job import Way
from gpurun.coordinator.core.pausing import FIRST_COST, cost
from gpurun.coordinator.core.settings import Pausing, Settings
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB

PAUSING, RUNNING = JobState.PAUSING, JobState.RUNNING


def world_of(*devices: int, **pause: float) -> World:
    return World(*devices, settings=Settings(pause=Pausing(**({"min_run": 0.0} | pause))))  # type: ignore[arg-type]


def step_aside(world: World, training: int, *, save: float, load: float) -> None:
    """A pause by hand and the way back, which take so many seconds."""
    world.command(m.Pause(job=str(training)))
    request, attempt = world.request(training), world.job(training).attempt
    peer = world.trainer(training)
    world.say(peer, m.Capturing(job=training, attempt=attempt, token="t", request=request))
    world.advance(save)
    world.durable(training, request)
    world.exit(training, code=137, request=request)
    world.command(m.Resume(job=str(training)))
    world.spawn(training)
    world.advance(load)
    attempt = world.job(training).attempt
    world.say(world.attach(training), m.Resumed(job=training, attempt=attempt, token="t", step=7))


def test_what_a_pause_costs_is_learned_from_the_last_one() -> None:
    """From the point of no return to the free device, and from the grant to the next step."""
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    assert cost(world.job(training)) == FIRST_COST[Way.EXIT]
    step_aside(world, training, save=3.0, load=4.0)
    assert cost(world.job(training)) == pytest.approx(7.0)


def test_of_equals_the_one_whose_pause_costs_least_is_asked() -> None:
    world = world_of(24 * GIB, 24 * GIB)
    slow, fast = world.train(20, 0.5), world.train(20, 0.5)
    step_aside(world, slow, save=30.0, load=30.0)
    step_aside(world, fast, save=0.1, load=0.1)
    world.submit(12, 0.5, priority=50)
    assert (world.state(slow), world.state(fast)) == (RUNNING, PAUSING)


def test_priority_counts_before_cost() -> None:
    """A dear pause of the less important job, not a cheap one of the more important."""
    world = world_of(24 * GIB, 24 * GIB)
    dear, cheap = world.train(20, 0.5, priority=-50), world.train(20, 0.5)
    step_aside(world, dear, save=30.0, load=30.0)
    step_aside(world, cheap, save=0.1, load=0.1)
    world.submit(12, 0.5, priority=50)
    assert (world.state(dear), world.state(cheap)) == (PAUSING, RUNNING)


def test_nobody_is_asked_where_the_wait_is_over_sooner() -> None:
    """Its holder said how long it takes, and is nearly done."""
    world = world_of(24 * GIB)
    training = world.train(20, 0.5, time=100.0)
    world.advance(100.0 - FIRST_COST[Way.EXIT])
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is RUNNING


def test_somebody_is_asked_where_the_wait_is_longer_than_the_pause() -> None:
    world = world_of(24 * GIB)
    training = world.train(20, 0.5, time=100.0)
    world.advance(99.0 - FIRST_COST[Way.EXIT])
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is PAUSING


def test_who_takes_longer_than_was_told_may_take_for_ever() -> None:
    world = world_of(24 * GIB)
    training = world.train(20, 0.5, time=100.0)
    world.advance(101.0)
    world.submit(12, 0.5, priority=50)
    assert world.state(training) is PAUSING


def test_another_users_task_must_fit_into_the_budget_of_the_day() -> None:
    """A tenth of the wall time so far: 60 s and the pause itself need 700 s of it."""
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    world.submit(12, 0.5, priority=50, uid=OTHER_USER, time=60.0)
    world.advance(699.0)
    assert world.state(training) is RUNNING
    world.advance(2.0)
    assert world.state(training) is PAUSING


def test_ones_own_tasks_need_no_budget() -> None:
    world = world_of(24 * GIB, budget=0.0)
    training = world.train(20, 0.5)
    world.submit(12, 0.5, priority=50, time=60.0)
    assert world.state(training) is PAUSING


def absent_for_another(world: World, training: int, seconds: float) -> None:
    """One whole pause for a task of another user."""
    light = world.submit(12, 0.5, priority=50, uid=OTHER_USER, time=seconds)
    world.capture(training)
    world.spawn(light)
    world.advance(seconds)
    world.exit(light)
    world.come_back(training)


def test_what_others_have_taken_counts_for_a_day() -> None:
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    world.advance(10_000.0)
    absent_for_another(world, training, 900.0)
    world.submit(12, 0.5, priority=50, uid=OTHER_USER, time=900.0)
    assert world.state(training) is RUNNING, "1,800 of 10,900 s would be more than a tenth"
    world.advance(90_000.0)
    assert world.state(training) is PAUSING


def test_what_ones_own_tasks_have_taken_does_not_count() -> None:
    world = world_of(24 * GIB)
    training = world.train(20, 0.5)
    world.advance(10_000.0)
    light = world.submit(12, 0.5, priority=50, time=900.0)
    world.capture(training)
    world.spawn(light)
    world.advance(900.0)
    world.exit(light)
    world.come_back(training)
    world.submit(12, 0.5, priority=50, uid=OTHER_USER, time=900.0)
    assert world.state(training) is PAUSING


def why(world: World, job: int) -> list[str]:
    state = world.scheduler.state
    return why_text(state, state.jobs[job]).splitlines()


def test_why_names_each_holder_and_the_reason_for_which_it_is_not_asked() -> None:
    world = world_of(24 * GIB, min_run=600.0)
    holder = world.start(6, 0.2, time=300.0)
    training = world.train(14, 0.3, priority=40)
    waiting = world.submit(12, 0.3, priority=30)
    lines = why(world, waiting)
    assert (
        f"  job {holder} (job1.py) is not asked to step aside: it does not use the gpurun SDK, or "
        "has not come to its training loop yet; build it on sdk.Trainable and sdk.run, or say "
        "--pause-signal, to make it pausable, and ends in about 5:00"
    ) in lines
    assert (
        f"  job {training} ({world.job(training).spec.name}) is not asked to step aside: "
        "its priority (40) is not lower"
    ) in lines
    assert lines[-1].startswith("  nothing says when there will be room (--time would)")


def test_why_says_for_how_long_one_that_has_just_come_back_is_left_in_peace() -> None:
    world = world_of(24 * GIB, min_run=600.0)
    training = world.train(20, 0.5)
    light = world.submit(12, 0.5, priority=50)
    world.capture(training)
    world.spawn(light)
    world.exit(light)
    world.come_back(training)
    waiting = world.submit(12, 0.5, priority=50)
    assert any("runs undisturbed for another 10:00" in line for line in why(world, waiting))


def test_why_shows_the_expected_start_where_it_can_be_known() -> None:
    world = world_of(24 * GIB)
    world.start(20, 0.5, time=300.0)
    waiting = world.submit(12, 0.5)
    world.advance(60.0)
    assert why(world, waiting)[-1] == "  expected to start in about 4:00"


def test_why_says_that_utilisation_does_not_count_for_one_that_shares() -> None:
    world = world_of(24 * GIB)
    world.start(20, 0.9)
    waiting = world.submit(12, 0.5, share=True)
    assert "    utilization: does not hold it back here (--share)" in why(world, waiting)


def test_why_of_a_job_that_needs_no_device_shows_no_sum() -> None:
    world = world_of(24 * GIB)
    first = world.start(2, 0.1)
    waiting = world.submit(gpus=0, after=(str(first),))
    assert why(world, waiting) == [
        f"job {waiting} (job2.py) is queued: starts when job {first} (job1.py) has finished"
    ]


def test_why_says_that_a_device_takes_nobody_beside_who_has_outgrown() -> None:
    """The sum would say otherwise."""
    world = world_of(24 * GIB)
    holder = world.start(2, 0.1)
    world.use(holder, 6)
    waiting = world.submit(1, 0.1)
    assert (
        f"    takes nobody: job {holder} uses more than was reserved, "
        "and nobody knows how much more"
    ) in why(world, waiting)
    assert why(world, holder)[1].endswith(", uses 6.0 GiB and is charged for that")


def test_why_says_that_an_end_comes_sooner_than_a_pause_pays() -> None:
    world = world_of(24 * GIB)
    training = world.train(20, 0.5, time=100.0)
    world.advance(95.0)
    waiting = world.submit(12, 0.5, priority=50)
    assert (f"  job {training} (job1.py) ends in about 0:05: sooner than a pause pays") in why(
        world, waiting
    )


def test_why_names_those_ahead_for_whom_room_is_set_aside() -> None:
    """Their times may be known: when they have what they need is not."""
    world = world_of(24 * GIB)
    world.start(20, 0.5, time=12.0)
    ahead, waiting = (world.submit(20, 0.5, time=12.0) for _ in range(2))
    assert why(world, waiting)[-1] == (
        f"  room is set aside for jobs ahead of it ({ahead}): its start is not known"
    )


def test_why_promises_nothing_of_other_peoples_programs() -> None:
    world = world_of(24 * GIB)
    world.external["GPU-0"] = (20 * GIB, 0.5)
    world.sample()
    waiting = world.submit(12, 0.3)
    assert why(world, waiting)[-1] == "  no job of ours is in its way: its start is not known"
