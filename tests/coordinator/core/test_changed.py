"""A training is not gone on with by a program that has changed, unless a person says so."""

from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import Again, JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def changed_world() -> tuple[World, int]:
    """A training that was paused, and whose launcher found model.py changed."""
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    world.command(m.Pause(job=str(job)))
    world.capture(job)
    world.command(m.Resume(job=str(job)))
    assert world.state(job) is JobState.RESUMING
    say_changed(world, job)
    return world, job


def say_changed(world: World, job: int, uid: int = 1000) -> None:
    attempt = world.job(job).attempt
    message = m.Changed(job=job, attempt=attempt, file="/home/user/model.py")
    world.say(world.launcher(job), message, uid=uid)


def test_it_is_held_with_the_file_and_what_to_do_and_gives_its_room_back() -> None:
    world, job = changed_world()
    found = world.job(job)
    assert (found.state, found.held, found.reservations) == (JobState.PAUSED, True, ())
    reason = world.last(m.Waiting, world.launcher(job)).reason
    assert reason.code is ReasonCode.CHANGED
    assert reason.text == (
        "/home/user/model.py has changed since its checkpoint; "
        "gpurun resume --changed 1 goes on with it as it is now"
    )
    assert world.start(20, 0.9)


def test_a_plain_resume_says_why_not() -> None:
    world, job = changed_world()
    answer = world.command(m.Resume(job=str(job)))
    assert answer == m.Problem(
        text="job 1 (job1.py) is held: /home/user/model.py has changed since its checkpoint; "
        "gpurun resume --changed 1 goes on with it as it is now",
        code=1,
    )
    assert world.job(job).held


def test_a_hold_by_hand_does_not_hide_why_it_is_held() -> None:
    world, job = changed_world()
    before = world.command(m.Resume(job=str(job)))
    assert isinstance(world.command(m.Pause(job=str(job))), m.Done)
    assert world.command(m.Resume(job=str(job))) == before


def test_a_person_lets_it_go_on_with_the_changes_once() -> None:
    """The next pause is another matter: the program may have changed again by then."""
    world, job = changed_world()
    assert not world.last(m.Grant, world.launcher(job)).changed
    assert isinstance(world.command(m.Resume(job=str(job), changed=True)), m.Done)
    grant = world.last(m.Grant, world.launcher(job))
    assert (grant.attempt, grant.changed) == (3, True)
    assert grant.resume == world.job(job).checkpoint
    world.come_back(job)
    light = world.submit(12, 0.5, priority=50)
    world.capture(job)
    world.spawn(light)
    world.exit(light)
    grant = world.last(m.Grant, world.launcher(job))
    assert (grant.attempt, grant.changed) == (4, False)


def test_a_rehearsal_that_finds_it_changed_is_over_and_says_so() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    asker = world.peer()
    world.say(asker, m.Rehearse(job=str(job), how="exit"))
    world.capture(job)
    say_changed(world, job)
    assert world.last(m.Problem, asker).text == (
        "job 1 (job1.py) does not go on at once: /home/user/model.py has changed"
    )
    found = world.job(job)
    assert (found.held, found.changed, found.is_tried) == (True, True, False)


def test_a_late_or_foreign_word_holds_nobody() -> None:
    world, job = changed_world()
    world.command(m.Resume(job=str(job), changed=True))
    say_changed(world, job, uid=1001)
    assert world.state(job) is JobState.RESUMING
    world.come_back(job)
    say_changed(world, job)
    assert world.state(job) is JobState.RUNNING
    assert not world.job(job).held


def test_it_is_held_where_its_lease_has_lapsed_meanwhile() -> None:
    world = World(24 * GIB)
    job = world.train(20, 0.9)
    world.command(m.Pause(job=str(job)))
    world.capture(job)
    world.command(m.Resume(job=str(job)))
    world.advance(10.0)
    assert world.job(job).stopped
    say_changed(world, job)
    found = world.job(job)
    assert (found.held, found.changed, found.stopped) == (True, True, False)


def test_a_new_coordinator_still_knows_why_it_is_held() -> None:
    world, job = changed_world()
    launcher = world.job(job).launcher
    assert launcher is not None
    world.restart()
    assert isinstance(world.command(m.Resume(job=str(job))), m.Problem)
    assert world.job(job).changed


def test_its_owner_may_have_it_run_again_with_what_it_is_now() -> None:
    """A retry is asked for by who has mended the program."""
    world, job = changed_world()
    world.command(m.Cancel(job=str(job)))
    world.rerun(job, Again(checkpoint="/checkpoints/1/7", changed=True))
    grant = world.last(m.Grant, world.launcher(job))
    assert (grant.resume, grant.changed) == ("/checkpoints/1/7", True)
