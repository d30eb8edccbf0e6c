"""Order, leases, holding, leaving and cancelling."""

from tests.coordinator.core.world import OTHER_USER, World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState, ReasonCode
from gpurun.protocol.quantity import GIB


def full_world() -> tuple[World, int]:
    """A device that one job fills."""
    world = World(24 * GIB)
    return world, world.start(20, 0.9)


def test_priority_goes_before_age() -> None:
    world, holder = full_world()
    old = world.submit(20, 0.5)
    urgent = world.submit(20, 0.5, priority=50)
    world.exit(holder)
    assert world.state(urgent) is JobState.STARTING
    assert world.state(old) is JobState.QUEUED


def test_age_decides_among_equals() -> None:
    world, holder = full_world()
    first, second = world.submit(20, 0.5), world.submit(20, 0.5)
    world.exit(holder)
    assert world.state(first) is JobState.STARTING
    assert world.state(second) is JobState.QUEUED


def test_others_pass_a_blocked_job_only_into_room_that_is_not_set_aside_for_it() -> None:
    """8 of 24 GiB are left; a job that needs 12 is blocked and keeps them for itself."""
    world = World(24 * GIB)
    holder = world.start(12, 0.1)
    blocked = world.submit(12, 0.1)
    passing = world.submit(4, 0.1)
    waiting = world.last(m.Waiting, world.launcher(passing))
    assert waiting.reason.code is ReasonCode.SET_ASIDE
    assert waiting.ahead == 1
    world.exit(holder)
    assert world.state(blocked) is JobState.STARTING
    assert world.state(passing) is JobState.STARTING


def test_a_small_job_passes_on_a_device_where_nobody_is_blocked() -> None:
    world = World(24 * GIB, 24 * GIB)
    world.start(20, 0.1)
    world.start(12, 0.1)
    blocked = world.submit(12, 0.1)
    small = world.submit(1, 0.1)
    assert world.state(blocked) is JobState.QUEUED
    assert world.job(small).reservations[0].device == "GPU-0"


def test_the_end_of_a_job_starts_the_next_within_the_same_sample() -> None:
    """No lost wake-up: nothing but the sample that shows the end is needed."""
    world, holder = full_world()
    waiting = world.submit(20, 0.5)
    world.exit(holder)
    assert world.state(waiting) is JobState.STARTING


def test_room_is_given_away_only_when_it_is_seen_free() -> None:
    """An exit that was only said does not free the device; the sample after it does."""
    world, holder = full_world()
    waiting = world.submit(20, 0.5)
    exited = m.Exited(job=holder, attempt=1, code=0)
    world.say(world.launcher(holder), exited)
    assert world.wants_sample()
    assert world.state(waiting) is JobState.QUEUED
    world.sample(taken=world.now - 1.0)
    assert world.state(waiting) is JobState.QUEUED, (
        "a look that began before the end proves nothing"
    )
    world.sample()
    assert world.state(waiting) is JobState.STARTING


def test_an_unused_lease_goes_back_and_the_next_in_line_has_the_room() -> None:
    world = World(24 * GIB)
    stopped = world.submit(20, 0.5)
    waiting = world.submit(20, 0.5)
    world.advance(10.0)
    assert world.state(stopped) is JobState.QUEUED
    assert world.last(m.Waiting, world.launcher(stopped)).reason.code is ReasonCode.STOPPED
    assert world.state(waiting) is JobState.STARTING


def test_a_launcher_that_wakes_up_with_a_dead_lease_asks_again() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    world.advance(10.0)
    world.say(world.launcher(job), m.AskAgain(job=job, attempt=1))
    assert world.state(job) is JobState.STARTING
    assert world.last(m.Grant, world.launcher(job)).attempt == 2


def test_a_lease_that_was_used_in_time_counts_though_the_word_comes_late() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    launcher = world.launcher(job)
    world.advance(10.0)
    world.say(launcher, m.Spawned(job=job, attempt=1, pid=4242, start_time=1))
    assert world.state(job) is JobState.RUNNING
    assert world.job(job).reservations[0].memory == 20 * GIB


def test_submitting_the_same_uuid_again_changes_nothing() -> None:
    world, _ = full_world()
    job = world.submit(20, 0.5, uuid="same")
    again = world.submit(20, 0.5, uuid="same")
    assert again == job
    assert len(list(world.scheduler.state.live())) == 2


def test_a_grant_is_repeated_to_a_launcher_that_says_hello_again() -> None:
    world = World(24 * GIB)
    job = world.submit(6, 0.1, uuid="same")
    world.submit(6, 0.1, uuid="same")
    assert world.last(m.Grant, world.launcher(job)).attempt == 1


def test_leaving_ends_a_waiting_job_and_frees_a_lease() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.5)
    waiting = world.submit(20, 0.5)
    world.say(world.launcher(job), m.Leave(job=job))
    assert world.state(job) is JobState.CANCELLED
    assert world.state(waiting) is JobState.STARTING


def test_a_held_job_waits_until_it_is_resumed() -> None:
    world, holder = full_world()
    job = world.submit(20, 0.5)
    assert isinstance(world.command(m.Pause(job=str(job))), m.Done)
    world.exit(holder)
    assert world.state(job) is JobState.QUEUED
    assert world.last(m.Waiting, world.launcher(job)).reason.code is ReasonCode.HELD
    assert isinstance(world.command(m.Resume(job=str(job))), m.Done)
    assert world.state(job) is JobState.STARTING


def test_cancelling_a_waiting_job_tells_its_launcher() -> None:
    world, _ = full_world()
    job = world.submit(20, 0.5)
    launcher = world.launcher(job)
    world.command(m.Cancel(job=str(job)))
    assert world.state(job) is JobState.CANCELLED
    assert world.got(m.Terminate, launcher)


def test_a_cancelled_running_job_ends_as_cancelled_whatever_its_exit_code() -> None:
    world, holder = full_world()
    world.command(m.Cancel(job=str(holder)))
    assert world.state(holder) is JobState.RUNNING
    world.exit(holder, code=0)
    assert world.state(holder) is JobState.CANCELLED


def test_nobody_commands_the_job_of_another_user_but_root() -> None:
    world, holder = full_world()
    refusal = world.command(m.Cancel(job=str(holder)), uid=OTHER_USER)
    assert isinstance(refusal, m.Problem)
    assert not world.job(holder).cancelling
    assert isinstance(world.command(m.Cancel(job=str(holder)), uid=0), m.Done)


def test_nobody_speaks_for_another_users_job_even_with_its_number() -> None:
    world, holder = full_world()
    world.say(b"liar", m.Exited(job=holder, attempt=1, code=0), uid=OTHER_USER)
    assert world.state(holder) is JobState.RUNNING


def test_a_job_can_be_named_where_the_name_is_unique() -> None:
    world, _ = full_world()
    job = world.submit(20, 0.5, name="train.py")
    assert isinstance(world.command(m.Pause(job="train.py")), m.Done)
    world.submit(20, 0.5, name="train.py")
    ambiguous = world.command(m.Pause(job="train.py"))
    assert isinstance(ambiguous, m.Problem)
    assert str(job) in ambiguous.text


def test_an_unknown_and_an_ended_job_are_told_apart() -> None:
    world, holder = full_world()
    world.exit(holder)
    ended, unknown = world.command(m.Pause(job=str(holder))), world.command(m.Pause(job="99"))
    assert isinstance(ended, m.Problem)
    assert isinstance(unknown, m.Problem)
    assert "has ended" in ended.text
    assert "no job 99" in unknown.text
    assert (ended.code, unknown.code) == (2, 2)


def test_the_waiting_reason_is_said_once_and_again_only_when_it_changes() -> None:
    world, _ = full_world()
    job = world.submit(20, 0.5)
    for _ in range(5):
        world.sample()
    assert len(world.got(m.Waiting, world.launcher(job))) == 1


def test_the_waiting_reason_names_who_holds_the_device() -> None:
    world, holder = full_world()
    job = world.submit(20, 0.5)
    reason = world.last(m.Waiting, world.launcher(job)).reason
    assert reason.holders == (holder,)
    assert world.job(holder).label in reason.text


def test_a_program_that_cannot_be_started_ends_its_job_with_that_code() -> None:
    world = World(24 * GIB)
    job = world.submit(6, 0.1)
    world.say(world.launcher(job), m.SpawnFailed(job=job, attempt=1, code=126))
    assert world.state(job) is JobState.FAILED
    assert world.job(job).exit_code == 126


def test_the_end_of_a_queued_jobs_launcher_ends_the_job() -> None:
    world, _ = full_world()
    job = world.submit(20, 0.5)
    world.end_of_launcher(job)
    assert world.state(job) is JobState.CANCELLED


def test_a_job_outlives_its_launcher_and_keeps_its_reservation() -> None:
    world, holder = full_world()
    world.end_of_launcher(holder)
    world.sample()
    assert world.state(holder) is JobState.RUNNING
    assert world.job(holder).charged
    world.end_of_process(holder)
    world.sample()
    assert world.state(holder) is JobState.LOST
    assert not world.job(holder).charged


def test_a_start_that_ends_a_window_makes_room_for_the_next_at_once() -> None:
    """The window spoke of a stranger who has become modest, and nobody else would wake them."""
    world = World(24 * GIB)
    world.external["GPU-0"] = (GIB, 0.8)
    for _ in range(9):
        world.advance(1.0)
    first, second = world.submit(1, 0.2), world.submit(1, 0.5)
    assert world.state(first) is world.state(second) is JobState.QUEUED
    world.external["GPU-0"] = (GIB, 0.1)
    for _ in range(20):
        if world.state(first) is JobState.QUEUED:
            assert world.state(second) is JobState.QUEUED
            world.advance(1.0)
    assert (world.state(first), world.state(second)) == (JobState.STARTING, JobState.STARTING)


def test_nobody_is_kept_from_a_device_that_is_too_small_for_who_is_ahead() -> None:
    """It is the nearest to the need of that, and could never take it."""
    world = World(24 * GIB, 16 * GIB)
    world.start(20, 0.5)
    assert world.state(world.submit(17, 0.5)) is JobState.QUEUED
    assert world.state(world.submit(2, 0.1)) is JobState.STARTING


def test_a_request_that_can_be_taken_back_counts_only_for_whom_the_job_would_bear() -> None:
    """Another user's job of unknown length asks nobody, and rides on nobody's request."""
    world = World(24 * GIB, 16 * GIB)
    world.external["GPU-1"] = (8 * GIB, 0.0)
    world.sample()
    training = world.train(20, 0.5)
    other = world.submit(12, 0.1, priority=20, uid=OTHER_USER)
    own = world.submit(4, 0.1, priority=10)
    world.sample()
    order = world.job(training).pause
    assert order is not None
    assert order.waiters == (own,)
    assert world.state(other) is world.state(own) is JobState.QUEUED


def test_a_pause_is_shared_with_who_is_not_worth_one_of_his_own() -> None:
    """Such as beyond the daily budget: it costs the training nothing more."""
    world = World(24 * GIB)
    training = world.train(20, 0.5)
    world.submit(8, 0.1, priority=20)
    other = world.submit(8, 0.1, priority=30, uid=OTHER_USER, time=600.0)
    world.sample()
    order = world.job(training).pause
    assert order is not None
    assert other in order.waiters
