"""Shrinking gives room that must never be wanted back; who takes more than it holds is reported."""

import msgspec
import pytest
from tests.coordinator.core.test_learning import TRAIN, batch, run
from tests.coordinator.core.world import World

from gpurun.coordinator.core.settings import Estimating, Limits, Settings
from gpurun.coordinator.core.view import job_view
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB, MIB

ENOUGH = 5.25 * GIB
"""For 5 GiB that a whole run was seen to need."""


def memory(world: World, job: int) -> int:
    """Bytes reserved for a job on its device."""
    return world.job(job).reservations[0].memory


def settling(after: float | None) -> World:
    limits = Limits(memory=0.9, utilization=0.9, headroom=512 * MIB)
    return World(24 * GIB, settings=Settings(limits=limits, estimate=Estimating(settle=after)))


def cycle(world: World, job: int) -> None:
    """The training reports a whole cycle."""
    attempt = world.job(job).attempt
    world.say(world.peer(), m.Cycled(job=job, attempt=attempt, token="t"))


def test_a_whole_cycle_shrinks_unknown_memory_to_the_peak_and_a_margin() -> None:
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    world.use(job, 5, 0.4, looks=5)
    before = memory(world, job)
    cycle(world, job)
    assert memory(world, job) == ENOUGH < before
    assert world.job(job).reservations[0].utilization == pytest.approx(0.4)


def test_a_shrink_admits_who_waited_for_the_room() -> None:
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    waiting = world.submit(8, 0.3)
    world.use(job, 5, 0.4, looks=5)
    assert world.state(waiting) is JobState.QUEUED
    cycle(world, job)
    assert world.state(waiting) is JobState.STARTING


def test_what_was_told_is_never_shrunk() -> None:
    world = settling(10)
    run(world, 5)
    job = world.start(12, 0.8, program=TRAIN)
    world.use(job, 5, 0.4, looks=30)
    cycle(world, job)
    (held,) = world.job(job).reservations
    assert (held.memory, held.utilization) == (12 * GIB, 0.8)


def test_without_a_cycle_nothing_shrinks_however_long_it_runs() -> None:
    """Validation at hour six must not kill anybody."""
    world = World(24 * GIB)
    job = world.start(program=TRAIN)
    before = memory(world, job)
    world.use(job, 5, 0.4, looks=200)
    assert memory(world, job) == before


def test_settle_shrinks_an_unknown_job_that_has_had_no_new_peak_for_so_long() -> None:
    world = settling(60)
    job = world.start(program=TRAIN)
    before = memory(world, job)
    world.use(job, 4, looks=30)
    world.use(job, 5, looks=59)
    assert memory(world, job) == before, "the new peak began the time anew"
    world.use(job, 5, looks=3)
    assert memory(world, job) == ENOUGH


def test_settle_leaves_what_was_learned_alone() -> None:
    world = settling(10)
    run(world, 10)
    job = world.start(program=TRAIN)
    world.use(job, 5, looks=30)
    assert memory(world, job) == 10.5 * GIB


def test_settle_leaves_what_was_inferred_alone() -> None:
    world = settling(10)
    run(world, 5, program=batch(8))
    job = world.start(program=batch(16))
    before = memory(world, job)
    world.use(job, 5, looks=30)
    assert memory(world, job) == before > 10 * GIB


def test_a_complete_run_of_the_program_shrinks_those_under_way() -> None:
    world = World(24 * GIB, 24 * GIB)
    first, second = world.start(program=TRAIN), world.start(program=TRAIN)
    world.use(first, 5, 0.4, looks=5)
    world.use(second, 4, 0.4, looks=5)
    before = memory(world, second)
    world.exit(first)
    assert memory(world, second) == ENOUGH < before, "to what the complete run needed"


def test_what_is_only_assumed_of_a_simulated_job_never_shrinks_it() -> None:
    world = settling(10)
    job = world.start(program=TRAIN)
    before = memory(world, job)
    world.advance(5)
    cycle(world, job)
    for _ in range(30):
        world.advance(1)
    assert memory(world, job) == before


# --- incidents


def test_a_job_over_its_reservation_is_an_incident_and_is_told_in_its_story() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1)
    world.use(job, 6, looks=3)
    assert job_view(world.scheduler.state, world.job(job), str).incidents == 1
    assert world.details(job, "outgrew its reservation") == ["uses 6.0 GiB of 4.0 GiB reserved"]


def test_nobody_more_is_admitted_beside_a_job_over_its_reservation() -> None:
    """Until it ends: nobody knows how much more it will take."""
    world = World(24 * GIB)
    job = world.start(4, 0.1)
    world.use(job, 4.5)
    world.use(job, 2)
    waiting = world.submit(1, 0.1)
    assert world.state(waiting) is JobState.QUEUED
    text = f"GPU 0 takes nobody more while job {job} uses more than it reserved"
    assert text in why_text(world.scheduler.state, world.job(waiting))
    world.exit(job)
    assert world.state(waiting) is JobState.STARTING


def test_other_devices_admit_all_the_same() -> None:
    world = World(24 * GIB, 24 * GIB)
    job = world.start(20, 0.1)
    world.use(job, 21)
    assert world.state(world.submit(1, 0.1)) is JobState.STARTING


def test_an_incident_is_counted_once_for_each_reservation() -> None:
    world = World(24 * GIB)
    job = world.start(4, 0.1)
    for size in (5, 6, 7):
        world.use(job, size)
    assert world.job(job).incidents == 1


def test_a_pausable_job_over_its_reservation_is_asked_to_step_aside() -> None:
    """Its leaving would let the others in again."""
    world = World(24 * GIB)
    job = world.train(4, 0.1)
    world.use(job, 6)
    world.submit(2, 0.1, priority=50)
    assert world.state(job) is JobState.PAUSING


def test_what_is_only_assumed_of_a_simulated_job_is_no_incident() -> None:
    """It uses what it reserves, also where that has become less."""
    world = World(24 * GIB)
    job = world.start(8, 0.1)
    (held,) = world.job(job).reservations
    less = msgspec.structs.replace(held, memory=4 * GIB)
    world.scheduler.state.update(world.job(job), reservations=(less,))
    world.stored[job] = world.job(job)
    world.sample()
    assert world.job(job).incidents == 0
    assert world.state(world.submit(1, 0.1)) is JobState.STARTING
