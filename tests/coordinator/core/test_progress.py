"""How far a training says it is: shown, timed, and never a reason to decide anything."""

from unittest import mock

import pytest
from tests.coordinator.core.parking import hello, say, train
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core import schedule
from gpurun.coordinator.core.progress import Progress, moved_on, time_left
from gpurun.coordinator.core.view import job_view
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol import status
from gpurun.protocol.quantity import GIB


def shown(world: World, job: int) -> status.Progress | None:
    return job_view(world.scheduler.state, world.job(job), str).progress


def tell(world: World, job: int, step: int, total: int = 100, text: str = "") -> None:
    say(world, job, m.Progress, step=step, total=total, text=text)


def told(*words: tuple[float, int], since: float = 0.0, total: int = 100) -> Progress:
    """What is known after these words, each an instant and a step."""
    progress = None
    for now, step in words:
        said = m.Progress(job=1, attempt=1, token="t", step=step, total=total)
        progress = moved_on(progress, said, now, since)
    assert progress is not None
    return progress


def test_the_end_is_where_the_steps_left_take_as_long_as_those_before() -> None:
    """A resumed training begins at a step that is none of its own doing."""
    progress = told((100, 40), (110, 50))
    assert time_left(progress, 110) == 50
    assert time_left(progress, 130) == 30


def test_what_has_proved_wrong_is_not_known_any_more() -> None:
    assert time_left(told((100, 40), (110, 50)), 161) is None


@pytest.mark.parametrize(
    "words", [[(0, 50)], [(0, 50), (4, 90)], [(0, 50), (40, 54)], [(0, 50), (10, 50)]]
)
def test_a_few_steps_or_seconds_tell_nothing(words: list[tuple[float, int]]) -> None:
    assert time_left(told(*words), words[-1][0]) is None


def test_without_a_total_no_end_is_known() -> None:
    progress = told((0, 0), (10, 50), total=0)
    assert (progress.step, progress.total) == (50, None)
    assert time_left(progress, 10) is None


def test_who_counts_from_its_beginning_again_is_another_training() -> None:
    progress = told((0, 10), (10, 60), (20, 5))
    assert (progress.steps, progress.seconds) == (0, 0.0)


def test_nothing_absurd_is_shown() -> None:
    said = m.Progress(job=1, attempt=1, token="t", step=-3, total=-7, text="x" * 10_000)
    progress = moved_on(None, said, 0.0, 0.0)
    assert (progress.step, progress.total, len(progress.text)) == (0, None, m.PROGRESS_TEXT)


def test_status_shows_what_the_training_said() -> None:
    world = World(24 * GIB)
    job = train(world)
    assert shown(world, job) is None
    tell(world, job, 20, text="loss 0.2")
    assert shown(world, job) == status.Progress(20, 100, "loss 0.2", None)
    world.advance(10.0)
    tell(world, job, 40, total=100)
    assert shown(world, job) == status.Progress(40, 100, "", 30.0)


@pytest.mark.parametrize("way", ["stand", "exit"])
def test_a_pause_is_no_time_that_steps_took(way: str) -> None:
    """Ten seconds for ten steps, whatever lies between; while it is paused no time goes by."""
    world = World(24 * GIB)
    job = train(world, ways=(way,))
    tell(world, job, 0)
    world.advance(10.0)
    tell(world, job, 10)
    world.command(m.Pause(job=str(job)))
    if way == "stand":
        say(world, job, m.Standing, request=world.request(job), step=12)
    else:
        world.capture(job)
    world.advance(1000.0)
    held = shown(world, job)
    assert held is not None
    assert held.left == 90
    world.command(m.Resume(job=str(job)))
    if way == "stand":
        say(world, job, m.Resumed, step=12)
        tell(world, job, 12)
    else:
        world.come_back(job)
        assert shown(world, job) is None, "a new attempt has said nothing yet"
        tell(world, job, 12)
        world.advance(10.0)
        tell(world, job, 22)
    now = shown(world, job)
    assert now is not None
    assert now.left == (88 if way == "stand" else 78)


def test_it_decides_nothing_and_writes_nothing() -> None:
    """Ten thousand of them: no pass, no record, no word, with a long queue before the door."""
    world = World(24 * GIB)
    job = train(world)
    for _ in range(20):
        world.submit(16, 0.5)
    world.sample()
    with mock.patch.object(schedule, "Plan", side_effect=AssertionError("a pass")):
        for step in range(10_000):
            tell(world, job, step)
            assert not world.effects


def test_only_the_owner_and_only_the_present_attempt_are_heard() -> None:
    world = World(24 * GIB)
    job = train(world)
    said = m.Progress(job=job, attempt=1, token="t", step=5)
    world.say(world.peer(), said, uid=OTHER_USER)
    world.say(world.peer(), m.Progress(job=job, attempt=2, token="t", step=5))
    world.say(world.peer(), m.Progress(job=99, attempt=1, token="t", step=5))
    assert shown(world, job) is None


def test_nothing_is_kept_of_a_job_that_has_ended_or_by_a_coordinator_that_has() -> None:
    world = World(24 * GIB)
    job = train(world)
    tell(world, job, 5)
    world.restart()
    assert shown(world, job) is None
    hello(world, job)
    world.attach(job)
    tell(world, job, 6)
    world.exit(job)
    assert not world.scheduler.state.progress


def test_why_forecasts_from_the_steps_where_no_time_was_told() -> None:
    """People are told; nobody is asked, or spared, for a guess."""
    world = World(24 * GIB)
    job = train(world, ways=())
    tell(world, job, 0)
    world.advance(10.0)
    tell(world, job, 10)
    waits = world.submit(16, 0.5)
    text = why_text(world.scheduler.state, world.job(waits))
    assert "ends in about 1:30" in text
    assert "expected to start in about 1:30" in text


def test_a_training_near_its_last_step_is_asked_to_step_aside_all_the_same() -> None:
    """A sweep of short trainings would be near it always."""
    world = World(24 * GIB)
    job = train(world, ways=("exit",))
    tell(world, job, 0)
    world.advance(99.0)
    tell(world, job, 99)
    world.submit(16, 0.5, priority=50)
    assert world.state(job) == "pausing"
