"""The rehearsal of a pause: the job steps aside, nobody takes its room, and it goes on at once."""

import pytest
from tests.coordinator.core.parking import (
    PAUSED,
    PAUSING,
    QUEUED,
    RESUMING,
    RUNNING,
    WAYS,
    asked,
    hello,
    park,
    saves,
    say,
    train,
)
from tests.coordinator.core.world import OTHER_USER, World

from gpurun.coordinator.core.job import Way
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def rehearse(world: World, job: int, how: str = "") -> bytes:
    """Ask for a rehearsal; return the connection of who waits for it."""
    person = world.peer()
    world.say(person, m.Rehearse(job=str(job), how=how))
    return person


def begun(how: str, memory: int = 16, **spec: object) -> tuple[World, int, bytes]:
    """A training that has been asked to rehearse this way."""
    world = World(24 * GIB)
    job = train(world, memory, **spec)  # type: ignore[arg-type]
    person = rehearse(world, job, how)
    assert asked(world, job).how == how
    return world, job, person


def steps_aside(world: World, job: int) -> None:
    """It does what it was asked to, up to where its device is seen free."""
    request = asked(world, job)
    world.now += 0.5
    if request.how == Way.STAND:
        say(world, job, m.Standing, request=request.request, step=7)
    elif request.how == Way.PARK:
        park(world, job, kept=GIB)
        world.now += 0.25
        world.sample()
    else:
        world.durable(job, request.request)
        world.now += 0.25
        world.exit(job, code=137, request=request.request)


def goes_on(world: World, job: int, how: str) -> None:
    world.now += 2.0
    if how == Way.EXIT:
        world.spawn(job)
        world.attach(job, ways=WAYS)
    say(world, job, m.Resumed, step=7)


def outcome(world: World, person: bytes) -> m.Rehearsed | m.Problem:
    """The one answer that ended it."""
    done, failed = world.got(m.Rehearsed, person), world.got(m.Problem, person)
    heard: list[m.Rehearsed | m.Problem] = [*done, *failed]
    assert len(heard) == 1, heard
    return heard[0]


REPORTS = {
    "stand": "can stand: it stood 0.50 s after it was asked, at step 7, and trained again "
    "2.00 s after the word to go on",
    "park": "can park: safe point 0.50 s after it was asked, at step 7; its memory on the device "
    "was free 0.25 s later but for 1.0 GiB; saved 1000 B in 0.10 s to /checkpoints/1/7; trained "
    "again 2.00 s after the word to go on",
    "exit": "can exit: safe point 0.50 s after it was asked, at step 7; saved 1000 B in 0.10 s to "
    "/checkpoints/1/7; its device was free 0.25 s later; trained again 2.00 s after the word to "
    "go on",
}


@pytest.mark.parametrize(("how", "further"), [("stand", "park"), ("park", "exit"), ("exit", "")])
def test_it_goes_on_at_once_and_says_what_that_took(how: str, further: str) -> None:
    world, job, person = begun(how)
    held = world.job(job).reservations
    steps_aside(world, job)
    assert world.state(job) is RESUMING
    goes_on(world, job, how)
    if how == Way.PARK:  # the checkpoint may come on disk after the return
        assert not world.got(m.Rehearsed, person)
        late = {"request": asked(world, job).request, "checkpoint": "/checkpoints/1/7"}
        say(world, job, m.Durable, step=7, size=1000, seconds=0.1, **late)
    expected = m.Rehearsed(job=job, text=f"job 1 (job1.py) {REPORTS[how]}", further=further)
    assert outcome(world, person) == expected
    found = world.job(job)
    assert (found.state, found.held, found.pauses, found.reservations) == (RUNNING, False, 1, held)
    assert world.last(m.Paused, world.launcher(job)).text == "for a rehearsal; it goes on at once"
    assert not world.scheduler.state.rehearsals


def test_the_first_way_that_it_offers_is_tried_first() -> None:
    world = World(24 * GIB)
    for told, first in (("auto", "stand"), ("exit", "exit")):
        job = train(world, 6, util=0.1, pause=told)
        rehearse(world, job)
        assert asked(world, job).how == first


def test_one_that_cannot_be_paused_hears_what_would_make_it_pausable() -> None:
    world = World(24 * GIB)
    job = world.start(16, 0.8)
    answer = world.command(m.Rehearse(job=str(job)))
    assert isinstance(answer, m.Problem)
    assert answer.code == 1
    assert "build it on sdk.Trainable and sdk.run" in answer.text
    assert world.state(job) is RUNNING


def test_only_one_that_runs_rehearses_and_only_a_way_that_it_offers() -> None:
    world = World(24 * GIB)
    job = train(world, ways=("stand",))
    waits = world.submit(16, 0.8)
    for reference, how, words in (
        (job, "park", "it does not offer to park"),
        (job, "dance", "it does not offer to dance"),
        (waits, "", "it is queued, and only one that runs can"),
    ):
        answer = world.command(m.Rehearse(job=str(reference), how=how))
        assert isinstance(answer, m.Problem)
        assert answer.text.endswith(words)
    rehearse(world, job)
    second = world.command(m.Rehearse(job=str(job)))
    assert isinstance(second, m.Problem)
    assert "it is pausing" in second.text


def test_a_rehearsal_that_still_waits_for_its_disk_is_told_of_the_next() -> None:
    world, job, person = begun("park")
    steps_aside(world, job)
    goes_on(world, job, "park")
    rehearse(world, job, "stand")
    assert isinstance(outcome(world, person), m.Problem)


def test_another_users_training_rehearses_nothing() -> None:
    world = World(24 * GIB)
    job = train(world)
    answer = world.command(m.Rehearse(job=str(job)), uid=OTHER_USER)
    assert isinstance(answer, m.Problem)
    assert world.state(job) is RUNNING


def test_a_refusal_is_told_with_the_way_to_try_next() -> None:
    world, job, person = begun("park")
    say(world, job, m.Refused, request=asked(world, job).request, text="no host memory")
    text = "job 1 (job1.py) cannot park: no host memory"
    assert outcome(world, person) == m.Rehearsed(job=job, text=text, refused=True, further="exit")
    assert world.state(job) is RUNNING


def test_what_could_not_be_saved_is_said_and_it_goes_on() -> None:
    world, job, person = begun("park")
    request = asked(world, job).request
    steps_aside(world, job)
    goes_on(world, job, "park")
    say(world, job, m.Unsaved, request=request, text="disk full")
    answer = outcome(world, person)
    assert "not saved (disk full)" in answer.text
    assert world.state(job) is RUNNING


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("priority", [-50, 0, 50])
def test_its_room_is_kept_for_it_whoever_waits(how: str, priority: int) -> None:
    """Also for who is more important, but has no right to have it step aside."""
    world = World(24 * GIB)
    job = train(world, priority=0)
    stranger = world.submit(8, 0.5, priority=priority, uid=OTHER_USER)
    person = rehearse(world, job, how)
    steps_aside(world, job)
    goes_on(world, job, how)
    if how == Way.PARK:
        say(world, job, m.Unsaved, request=asked(world, job).request, text="disk full")
    assert isinstance(outcome(world, person), m.Rehearsed)
    assert world.state(job) is RUNNING
    assert world.state(stranger) is QUEUED
    assert not world.got(m.Grant, world.launcher(stranger))


@pytest.mark.parametrize("how", WAYS)
def test_who_may_have_it_step_aside_has_it_as_soon_as_it_is_back(how: str) -> None:
    """Neither does the rehearsal break off, nor does the waiter starve."""
    world, job, person = begun(how)
    urgent = world.submit(8, 0.5, priority=50)
    assert len(world.got(m.PauseRequest, world.trainer(job))) == 1
    steps_aside(world, job)
    assert world.state(urgent) is QUEUED
    goes_on(world, job, how)
    if how == Way.PARK:
        saved = world.records[-1].job.request
        say(world, job, m.Unsaved, request=saved - 1, text="disk full")
    assert isinstance(outcome(world, person), m.Rehearsed)
    assert world.state(job) is PAUSING
    order = world.job(job).pause
    assert order is not None
    assert (order.waiters, order.rehearsal) == ((urgent,), False)


def test_nobody_counts_on_the_room_of_one_that_rehearses() -> None:
    """Another training is asked in its place."""
    world = World(24 * GIB)
    job, other = train(world, 8, util=0.3), train(world, 8, util=0.3)
    rehearse(world, job, "exit")
    world.submit(8, 0.3, priority=50)
    assert world.state(other) is PAUSING


def test_even_who_heads_the_queue_does_not_get_its_room() -> None:
    """Such as a training that was away for longer than anybody may ask of it."""
    world = World(24 * GIB)
    away = train(world, ways=("exit",), priority=10)
    light = world.submit(16, 0.8, priority=50)
    world.capture(away)
    world.spawn(light)
    world.advance(4000.0)
    world.attach(light, ways=WAYS)
    rehearse(world, light, "exit")
    steps_aside(world, light)
    assert world.state(light) is RESUMING
    assert world.state(away) is PAUSED


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("after", ["asked", "captured", "ended", "paused", "granted"])
def test_a_coordinator_that_dies_in_the_middle_is_followed_by_one_that_lets_it_go_on(
    how: str, after: str
) -> None:
    world, job, _ = begun(how)
    waits = world.submit(8, 0.5)
    request = asked(world, job).request
    if after == "captured" and how != Way.STAND:
        say(world, job, m.Capturing, request=request)
    elif after == "ended" and how == Way.EXIT:
        world.durable(job, request)
        exited = m.Exited(job=job, attempt=1, code=137, request=request)
        world.say(world.launcher(job), exited)
    elif after == "paused" and how != Way.EXIT:
        world.command(m.Drain(on=True))
        steps_aside(world, job)
    elif after == "granted":
        steps_aside(world, job)
    before = world.job(job)
    world.restart(look=False)
    hello(world, job)
    hello(world, waits)
    world.sample()
    if before.process is not None and before.attempt == 1:
        stays = {Way.STAND: "standing", Way.PARK: "parked"}.get(Way(how), "")
        staying = {stays: request} if stays and before.state is RESUMING else {}
        world.attach(job, ways=WAYS, **staying)
    if world.state(job) is PAUSING:
        steps_aside(world, job)
    if world.state(job) is RESUMING:
        goes_on(world, job, how)
    found = world.job(job)
    assert (found.state, found.held, found.pause) == (RUNNING, False, None)
    assert world.state(waits) is QUEUED


def test_while_nothing_new_is_admitted_it_goes_on_all_the_same() -> None:
    world, job, _ = begun("exit")
    world.command(m.Drain(on=True))
    steps_aside(world, job)
    assert world.state(job) is RESUMING


@pytest.mark.parametrize("how", WAYS)
def test_one_that_a_person_pauses_meanwhile_stays_paused(how: str) -> None:
    world, job, person = begun(how)
    waits = world.submit(8, 0.5)
    second = world.command(m.Pause(job=str(job)))
    assert isinstance(second, m.Done)
    assert outcome(world, person).text.endswith(
        "does not go on at once: it was paused by hand meanwhile"
    )
    steps_aside(world, job)
    assert world.state(job) is PAUSED
    assert world.job(job).held
    assert not world.job(job).is_tried, "it has no claim to the head of the queue any more"
    assert (world.state(waits) is QUEUED) == (how == Way.STAND)
    world.advance(10.0)
    assert world.state(job) is PAUSED


def test_who_takes_it_back_before_its_safe_point_ends_it() -> None:
    world, job, person = begun("exit")
    world.command(m.Resume(job=str(job)))
    assert "resumed before it had paused" in outcome(world, person).text
    assert world.state(job) is RUNNING


@pytest.mark.parametrize("end", ["cancelled", "launcher"])
def test_whatever_ends_it_is_told(end: str) -> None:
    world, job, person = begun("exit")
    if end == "cancelled":
        world.command(m.Cancel(job=str(job)))
        world.exit(job, 143)
    else:
        world.durable(job, asked(world, job).request)
        world.end_of_launcher(job)
    answer = outcome(world, person)
    assert isinstance(answer, m.Problem)
    assert answer.code == 1
    assert not world.scheduler.state.rehearsals


def test_where_others_would_be_in_its_way_afterwards_it_is_not_even_begun() -> None:
    """It was there first and may stay; once away it would not fit beside them."""
    world = World(24 * GIB)
    job = train(world)
    world.external["GPU-0"] = (7 * GIB, 0.1)
    world.sample()
    answer = world.command(m.Rehearse(job=str(job)))
    assert isinstance(answer, m.Problem)
    assert "it would not get its room back: needs 16.0 GiB" in answer.text
    assert world.state(job) is RUNNING


def test_room_that_a_foreign_program_takes_meanwhile_is_waited_for_at_the_head_of_the_queue() -> (
    None
):
    world, job, person = begun("exit")
    waits = world.submit(8, 0.5, priority=50, uid=OTHER_USER)
    request = asked(world, job).request
    world.durable(job, request)
    world.external["GPU-0"] = (10 * GIB, 0.1)
    world.exit(job, code=137, request=request)
    assert world.state(job) is PAUSED
    assert world.state(waits) is QUEUED
    world.external.clear()
    world.sample()
    assert world.state(job) is RESUMING
    goes_on(world, job, "exit")
    assert isinstance(outcome(world, person), m.Rehearsed)


def test_one_that_is_parked_and_must_leave_altogether_rehearses_no_more() -> None:
    """A foreign program keeps it from going on, and somebody more important lacks what it keeps."""
    world, job, person = begun("park")
    park(world, job)
    world.keeps[job] = 10 * GIB
    world.external["GPU-0"] = (10 * GIB, 0.1)
    world.sample()
    assert world.state(job) is PAUSED
    saves(world, job)
    urgent = world.submit(10, 0.5, priority=50)
    order = world.job(job).pause
    assert world.state(job) is PAUSING
    assert order is not None
    assert "others lack what it keeps" in outcome(world, person).text
    assert (order.how, order.rehearsal, order.by_user, order.waiters) == (
        Way.EXIT,
        False,
        False,
        (urgent,),
    )


def test_its_deadline_passes_and_it_is_asked_anew() -> None:
    world, job, person = begun("exit")
    world.advance(100.0)
    steps_aside(world, job)
    goes_on(world, job, "exit")
    assert isinstance(outcome(world, person), m.Rehearsed)
    assert world.state(job) is JobState.RUNNING
