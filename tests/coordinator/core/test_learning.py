"""What a run leaves behind, and what the next one of its program is admitted with."""

import msgspec
import pytest
from tests.coordinator.core.world import OTHER_USER, USER, World

from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.explained import estimate_text, estimated, need_for
from gpurun.coordinator.core.job import Basis
from gpurun.coordinator.core.known import known_memory
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.view import job_view
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobSpec, JobState, ProgramId
from gpurun.protocol.quantity import GIB
from gpurun.protocol.status import Estimates

TRAIN = ProgramId(path="/home/user/train.py", interpreter="/usr/bin/python", digest="1")


def estimated_for(world: World, spec: JobSpec) -> Estimates:
    """The figures for a job of the usual user's."""
    return estimated(spec, need_for(world.scheduler.state, USER, spec))


def text_for(world: World, spec: JobSpec) -> str:
    """The same as a sentence."""
    return estimate_text(spec, need_for(world.scheduler.state, USER, spec))


def batch(size: int, digest: str = "1") -> ProgramId:
    return ProgramId(
        path=TRAIN.path,
        interpreter=TRAIN.interpreter,
        arguments=("--batch", str(size)),
        digest=digest,
    )


def run(world: World, memory: float, share: float = 0.5, code: int = 0, **spec: object) -> int:
    """A whole run that holds so much; submit needs nothing told."""
    job = world.start(**{"program": TRAIN, **spec})  # type: ignore[arg-type]
    world.use(job, memory, share, looks=5)
    world.exit(job, code)
    return job


def said(world: World, job: int) -> str:
    """The line at its end."""
    return next(
        message.text
        for _, message in world.sent
        if isinstance(message, m.Ended) and message.job == job
    )


def test_a_finished_run_leaves_a_profile() -> None:
    world = World(24 * GIB)
    run(world, 5, 0.5)
    (profile,) = world.profiles
    assert (profile.uid, profile.program, profile.gpus) == (USER, TRAIN, 1)
    assert (profile.complete, profile.oom, profile.reserved) == (True, False, int(0.9 * 24 * GIB))
    seen = profile.seen
    assert (seen.model, seen.memory, seen.utilization_peak) == ("Scripted", 5 * GIB, 0.5)
    assert seen.utilization == pytest.approx(0.5)
    assert profile.ran == pytest.approx(5.0)


def test_a_program_nobody_recognises_leaves_none() -> None:
    world = World(24 * GIB)
    run(world, 5, program=None)
    assert world.profiles == []


def test_the_next_run_reserves_what_the_last_one_needed() -> None:
    world = World(24 * GIB)
    run(world, 5, 0.5)
    job = world.job(world.start(program=TRAIN))
    assert job.basis is Basis.LEARNED
    (held,) = job.reservations
    assert 5 * GIB < held.memory < 6 * GIB
    assert held.utilization == pytest.approx(0.5)


def test_two_runs_that_are_known_to_fit_run_beside_each_other() -> None:
    world = World(24 * GIB)
    run(world, 5, 0.4)
    world.start(program=TRAIN)
    assert world.state(world.submit(program=TRAIN)) is JobState.STARTING


def test_memory_and_utilization_are_known_each_for_itself() -> None:
    """A told utilization says nothing of memory, and memory that was seen nothing of time."""
    world = World(24 * GIB)
    beside = world.start(4, 0.1)
    run(world, 5, 0.5)
    world.exit(beside)
    (held,) = world.job(world.start(program=TRAIN)).reservations
    assert held.memory < 6 * GIB
    assert held.utilization == pytest.approx(0.9), "it was never alone"


def test_what_is_told_is_taken_whatever_was_learned() -> None:
    world = World(24 * GIB)
    run(world, 5)
    job = world.job(world.start(9, 0.3, program=TRAIN))
    assert (job.basis, job.reservations[0].memory) == (Basis.TOLD, 9 * GIB)
    world.use(job.id, 5, looks=5)
    world.exit(job.id)
    assert said(world, job.id) == "peak 5.0 GiB of 9.0 GiB reserved as told; the same next time"


def test_nobody_learns_from_another_users_runs() -> None:
    world = World(24 * GIB)
    run(world, 5)
    assert world.job(world.start(program=TRAIN, uid=OTHER_USER)).basis is Basis.UNKNOWN


def test_profiles_outlive_the_coordinator() -> None:
    world = World(24 * GIB)
    run(world, 5)
    world.restart()
    assert world.job(world.start(program=TRAIN)).basis is Basis.LEARNED


def test_a_changed_script_is_inferred_with_a_wider_interval() -> None:
    world = World(24 * GIB)
    run(world, 10, program=batch(8))
    same = estimated_for(world, spec(batch(8)))
    changed = estimated_for(world, spec(batch(8, digest="2")))
    assert (same.basis, changed.basis) == ("learned", "inferred")
    assert same.memory is not None
    assert changed.memory is not None
    assert same.memory < changed.memory


def test_a_number_among_the_arguments_carries_the_estimate_over() -> None:
    world = World(80 * GIB)
    for size in (8, 16, 32):
        run(world, 2 + size / 4, program=batch(size))
    found = estimated_for(world, spec(batch(24)))
    assert found.basis == "inferred"
    assert found.memory_figure.low == pytest.approx(8 * GIB, rel=0.01)
    assert found.memory is not None
    assert 8 * GIB < found.memory < 10 * GIB


def test_a_running_sibling_teaches_once_it_has_long_been_at_its_plateau() -> None:
    world = World(24 * GIB, 24 * GIB)
    sibling = world.start(program=TRAIN)
    world.use(sibling, 5, 0.5, looks=10)
    young = estimated_for(world, spec(TRAIN))
    assert young.basis == "unknown"
    world.use(sibling, 5, 0.5, looks=60)
    settled = estimated_for(world, spec(TRAIN))
    assert settled.basis == "inferred"
    assert settled.memory is not None
    assert 5 * GIB < settled.memory < 7 * GIB


def test_a_run_too_short_to_be_seen_teaches_nothing() -> None:
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 1, looks=1)
    world.exit(job)
    assert len(world.profiles) == 1
    assert estimated_for(world, spec(TRAIN)).basis == "unknown"


def test_a_program_that_fills_the_device_still_starts_on_an_empty_one() -> None:
    """No margin goes over what the device can offer."""
    world = World(24 * GIB)
    run(world, 23.5)
    assert world.state(world.submit(program=TRAIN)) is JobState.STARTING


def test_memory_that_somebody_else_holds_for_good_is_waited_for() -> None:
    """A desktop on the device: the margin may go, what was seen to be needed may not."""
    world = World(24 * GIB)
    run(world, 21)
    job = world.job(world.start(program=TRAIN))
    assert known_memory(job, load_with_desktop(5 * GIB), world.settings) == (21 * GIB, "learned")
    assert known_memory(job, load_with_desktop(GIB), world.settings)[0] == int(21 * GIB * 1.05)


def load_with_desktop(size: int) -> Load:
    world = World(24 * GIB)
    (load,) = loads_of(world.scheduler.state).values()
    return msgspec.structs.replace(load, external_memory=size, free=load.free - size)


def test_a_learned_need_goes_where_it_leaves_the_smallest_hole() -> None:
    """An unknown one takes all that is left, and so goes where most is."""
    world = World(24 * GIB, 12 * GIB)
    first = world.start(program=TRAIN)
    assert world.job(first).reservations[0].device == "GPU-0"
    world.use(first, 5, looks=5)
    world.exit(first)
    second = world.start(program=TRAIN)
    assert world.job(second).reservations[0].device == "GPU-1"


def test_a_paused_training_has_taught_itself() -> None:
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 5, 0.4, looks=70)
    world.attach(job)
    world.command(m.Pause(job=str(job)))
    world.capture(job)
    world.command(m.Resume(job=str(job)))
    (held,) = world.job(job).reservations
    assert world.job(job).basis is Basis.INFERRED
    assert 5 * GIB < held.memory < 7 * GIB


def test_a_share_of_time_is_not_learned_beside_a_job_that_is_only_starting() -> None:
    world = World(24 * GIB)
    job = world.start(5, 0.3, program=TRAIN)
    world.submit(2, 0.1)
    world.use(job, 5, 0.7, looks=4)
    world.exit(job)
    assert world.profiles[0].seen.utilization is None


def test_the_steady_share_is_that_of_the_last_phase() -> None:
    """Loading data computes little, and says nothing of the training after it."""
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 1, 0.1, looks=10)
    world.use(job, 5, 0.8, looks=5)
    world.exit(job)
    seen = world.profiles[0].seen
    assert seen.utilization == pytest.approx(0.8)
    assert seen.plateau == pytest.approx(11.0)


def test_a_waiting_jobs_estimate_and_sum_are_what_its_program_has_taught() -> None:
    world = World(24 * GIB)
    run(world, 5)
    world.start(20, 0.9)
    waiting = world.job(world.submit(program=TRAIN))
    shown = job_view(world.scheduler.state, waiting, str).estimate
    assert (shown.basis, shown.memory, shown.utilization) == ("learned", int(5.25 * GIB), 0.5)
    assert shown.confidence == 0.5
    assert "this job 5.2 GiB" in why_text(world.scheduler.state, waiting)


def test_the_line_at_the_end_says_what_will_be_reserved_next_time() -> None:
    world = World(24 * GIB)
    assert said(world, run(world, 5)) == (
        "peak 5.0 GiB of 21.6 GiB reserved; next time 5.2 GiB will be reserved"
    )


@pytest.mark.parametrize("first", ["the kernel", "the launcher"])
def test_the_peak_is_kept_whoever_tells_of_the_end_first(first: str) -> None:
    """The kernel's word frees the devices before the launcher says how it ended."""
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 4.9, looks=5)
    world.use(job, 5)
    launcher, attempt = world.launcher(job), world.job(job).attempt
    if first == "the kernel":
        shown = world.device("GPU-0", without=job)
        world.end_of_process(job)
        world.handle(SampleEvent(at=world.instant, taken=world.now, devices=(shown,)))
        assert not world.job(job).charged
        assert peak(world, job) == 5 * GIB, "it is written: a coordinator may die now"
    world.say(launcher, m.Exited(job=job, attempt=attempt, code=0))
    assert said(world, job).startswith("peak 5.0 GiB of 21.6 GiB")
    world.sample()
    shown_job = job_view(world.scheduler.state, world.job(job), str)
    assert shown_job.observed.memory_peak == 5 * GIB
    assert peak(world, job) == 5 * GIB


def peak(world: World, job: int) -> int | None:
    """As it is in the store."""
    seen = world.stored[job].seen
    return seen.memory if seen else None


def test_a_peak_outlives_the_coordinator() -> None:
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 5, looks=3)
    world.restart()
    world.use(job, 3, looks=3)
    shown = job_view(world.scheduler.state, world.job(job), str)
    assert shown.observed.memory_peak == 5 * GIB


def test_an_estimate_is_explained_in_one_sentence() -> None:
    world = World(24 * GIB)
    assert explain(world, TRAIN) == (
        "train.py: would reserve all the memory that is left, since no run says what it needs; "
        "and all of its time, since no run was alone on a device"
    )
    run(world, 5)
    assert explain(world, TRAIN) == (
        "train.py: would reserve 5.2 GiB on each device, learned from 1 run of the same program "
        "(seen: 5.0 GiB); 50 % of its time, learned from 1 run, while alone"
    )
    told = spec(TRAIN, memory=6 * GIB, utilization=0.4)
    assert text_for(world, told) == (
        "train.py: would reserve 6.0 GiB on each device, as told; 40 % of its time, as told"
    )


def explain(world: World, program: ProgramId) -> str:
    return text_for(world, spec(program))


def spec(program: ProgramId, **told: object) -> JobSpec:
    return JobSpec(command=("train.py",), cwd="/", name="train.py", program=program, **told)  # type: ignore[arg-type]


def test_how_long_it_ran_is_learned_for_the_pause_decision() -> None:
    """A light task that has run before need not tell its time to have another user step aside."""
    world = World(24 * GIB)
    run(world, 6, 0.3, uid=OTHER_USER)
    training = world.train(20, 0.5)
    world.advance(1000.0)
    world.submit(6, 0.3, priority=50, uid=OTHER_USER)
    assert world.state(training) is JobState.RUNNING
    world.submit(6, 0.3, priority=50, uid=OTHER_USER, program=TRAIN)
    assert world.state(training) is JobState.PAUSING


def test_a_run_that_failed_says_nothing_of_the_time() -> None:
    world = World(24 * GIB)
    run(world, 6, code=1, uid=OTHER_USER)
    training = world.train(20, 0.5)
    world.advance(1000.0)
    world.submit(12, 0.5, priority=50, uid=OTHER_USER, program=TRAIN)
    assert world.state(training) is JobState.RUNNING


def test_who_was_told_too_little_hears_what_to_tell() -> None:
    """To say the same again would be unsafe again."""
    world = World(24 * GIB)
    job = world.start(2, 0.2, program=TRAIN)
    world.use(job, 6, looks=3)
    world.exit(job)
    assert said(world, job) == (
        "peak 6.0 GiB of 2.0 GiB reserved as told; "
        "that was too little: next time ask for --mem 6.3GiB"
    )


def test_an_estimate_promises_no_more_than_a_device_has() -> None:
    world = World(24 * GIB)
    run(world, 20, program=batch(8))
    run(world, 23, program=batch(10))
    spec = JobSpec(command=("x",), cwd="/", name="x", program=batch(40))
    found = estimated_for(world, spec)
    assert found.memory == 24 * GIB
    assert "24.0 GiB" in text_for(world, spec)
