"""Launchers that come back, coordinators that come back, and what neither may say."""

import pytest
from tests.coordinator.core.situations import hello, stepping_aside
from tests.coordinator.core.world import World

from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import Held, JobSpec, JobState
from gpurun.protocol.quantity import GIB


def test_whoever_waits_for_a_pause_hears_that_the_job_ended_instead() -> None:
    world = World(24 * GIB)
    for end in ("exit", "launcher", "process"):
        training, person = world.train(20, 0.9), world.peer()
        world.say(person, m.Pause(job=str(training)))
        if end == "exit":
            world.exit(training)
        if end == "launcher":
            world.end_of_launcher(training)
        if end == "process":
            world.end_of_process(training)
            world.end_of_launcher(training)
        problem = world.last(m.Problem, person)
        assert "not paused" in problem.text
        assert problem.code == 1
        world.restart(alive=frozenset())


def test_a_new_coordinator_looks_at_the_devices_with_its_jobs_in_mind() -> None:
    """The first look did not know them: what they hold would count as foreign."""
    from gpurun.coordinator.core.effects import Sample
    from gpurun.coordinator.core.events import RestartEvent
    from gpurun.coordinator.core.scheduler import Scheduler

    world = World(24 * GIB)
    world.start(20, 0.5)
    known = tuple(world.stored.values())
    event = RestartEvent(at=world.instant, jobs=known, alive=frozenset())
    effects = Scheduler(world.settings).handle(event)
    assert any(isinstance(effect, Sample) for effect in effects)


def test_a_job_whose_end_was_left_in_a_file_is_not_lost_meanwhile() -> None:
    """The word follows; and should it not be the last one, the watches see who is gone."""
    from gpurun.coordinator.core.effects import WatchJob, WatchLauncher
    from gpurun.coordinator.core.events import RestartEvent
    from gpurun.coordinator.core.scheduler import Scheduler

    world = World(24 * GIB)
    job = world.start(20, 0.5)
    scheduler = Scheduler(world.settings)
    jobs, told = tuple(world.stored.values()), frozenset([job])
    restart = RestartEvent(at=world.instant, jobs=jobs, alive=frozenset(), told=told)
    effects = scheduler.handle(restart)
    assert scheduler.state.jobs[job].state is JobState.RUNNING
    watched = [type(e) for e in effects if isinstance(e, WatchJob | WatchLauncher)]
    assert watched == [WatchLauncher, WatchJob]


@pytest.mark.parametrize("uuid", ["", "../x", "a/b", "a.b", "a\0", "é", "x" * 65])
def test_a_uuid_that_could_name_another_file_is_refused(uuid: str) -> None:
    world = World(24 * GIB)
    spec = JobSpec(command=("x",), cwd="/", name="x")
    answer = world.command(m.Submit(uuid=uuid, spec=spec))
    assert isinstance(answer, m.Problem)
    assert answer.code == 2


@pytest.mark.parametrize("attempt", [-1, 0, 2**31])
def test_an_attempt_that_runs_has_a_number_that_can_be_counted_on(attempt: int) -> None:
    world = World(24 * GIB)
    spec = JobSpec(command=("x",), cwd="/", name="x")
    held = Held(job=1, attempt=attempt, pid=4711, start_time=1)
    assert isinstance(world.command(m.Submit(uuid="u", spec=spec, held=held)), m.Problem)


@pytest.mark.parametrize("time", [-1.0, float("nan"), float("inf"), 1e9])
def test_a_time_that_no_clock_shows_is_refused(time: float) -> None:
    world = World(24 * GIB)
    spec = JobSpec(command=("x",), cwd="/", name="x", time=time)
    assert isinstance(world.command(m.Submit(uuid="u", spec=spec)), m.Problem)


def test_a_job_that_runs_is_taken_in_by_a_coordinator_that_never_heard_of_it() -> None:
    """Its database is gone; the launcher brings all that there is to know."""
    world = World(24 * GIB)
    spec = JobSpec(command=("x",), cwd="/", name="x", memory=60 * GIB)
    held = Held(job=9, attempt=3, pid=4711, start_time=1)
    accepted = world.command(m.Submit(uuid="u", spec=spec, held=held))
    assert isinstance(accepted, m.Accepted)
    job = world.job(accepted.job)
    assert (job.state, job.attempt) == (JobState.RUNNING, 3)


def test_why_does_not_need_the_device_to_be_known() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.4)
    world.scheduler.state.devices.clear()
    assert "holds 6.0 GiB and 40 % of GPU-0" in why_text(world.scheduler.state, world.job(job))


def test_an_ended_job_of_somebody_elses_is_not_told_of() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.4)
    world.exit(job)
    for message in (
        m.Exited(job=job, attempt=1, code=0),
        m.SpawnFailed(job=job, attempt=1, code=1),
    ):
        peer = world.peer()
        world.say(peer, message, uid=4242)
        assert not world.got(m.Ended, peer)
        assert world.got(m.Problem, peer)


def test_a_spawn_is_believed_once() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.4)
    before = world.job(job)
    world.say(world.launcher(job), m.Spawned(job=job, attempt=1, pid=9, start_time=9))
    assert world.job(job) == before
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    ended = world.job(job)
    world.say(world.launcher(job), m.Spawned(job=job, attempt=1, pid=9, start_time=9))
    assert world.job(job) == ended


def test_a_job_has_started_when_it_first_did() -> None:
    world, training, _ = stepping_aside()
    world.sample()
    began = world.job(training).started_at
    world.advance(100.0)
    world.command(m.Resume(job=str(training)))
    world.come_back(training)
    assert world.job(training).started_at == began


def test_a_launcher_that_says_hello_again_is_told_the_reason_again() -> None:
    world = World(24 * GIB)
    world.start(20, 0.9)
    waiting = world.submit(20, 0.9)
    peer = hello(world, waiting)
    assert len(world.got(m.Waiting, peer)) == 1


def test_a_launcher_that_was_stopped_is_in_line_again_with_its_hello() -> None:
    """At once, not with the next look at the devices."""
    world = World(24 * GIB)
    job = world.submit(20, 0.9)
    world.advance(10.0)
    peer = hello(world, job)
    assert world.got(m.Grant, peer)


def test_a_launcher_is_watched_from_its_first_word_where_it_can_be() -> None:
    """One in another pid namespace has no pid here."""
    from gpurun.coordinator.core.job import Process

    world = World(24 * GIB)
    job = world.submit(20, 0.9)
    assert world.job(job).launcher in world.watches()
    spec = world.job(job).spec
    world.say(world.peer(), m.Submit(uuid="elsewhere", spec=spec))
    assert world.watches() == set()
    assert world.job(job + 1).launcher == Process(0, 0)


def test_a_job_that_leaves_asks_for_a_look() -> None:
    world = World(24 * GIB)
    job = world.submit(20, 0.9)
    world.say(world.launcher(job), m.Leave(job=job))
    assert world.wants_sample()


def test_a_hello_for_an_ended_job_brings_nothing_back() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.4, uuid="same")
    spec = world.job(job).spec
    world.exit(job)
    answer = world.command(m.Submit(uuid="same", spec=spec))
    assert answer == m.Accepted(job=job)
    assert job not in world.scheduler.state.jobs
    assert job not in world.scheduler.state.launchers


def test_a_running_job_is_past_leaving() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.4)
    before = world.job(job)
    world.say(world.launcher(job), m.Leave(job=job))
    world.say(world.launcher(job), m.Leave(job=99))
    assert world.job(job) == before


def test_a_tree_is_to_be_ended_only_when_its_checkpoint_is_durable() -> None:
    """Asked, or saving: a hello of its launcher changes nothing."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    assert not world.got(m.EndTree, hello(world, training))
    request = world.request(training)
    capturing = m.Capturing(job=training, attempt=1, token="t", request=request)
    world.say(world.trainer(training), capturing)
    assert not world.got(m.EndTree, hello(world, training))
    world.durable(training, request)
    assert world.got(m.EndTree, hello(world, training))
