"""The invariants of docs/architecture.md, as code."""

from collections.abc import Mapping

import msgspec

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState

EPSILON = 1e-6


def check(state: State, stored: Mapping[int, Job]) -> None:
    """Fail where any of them does not hold between two events."""
    _in_the_store(state, stored)
    _charged_while_there(state)
    _consistent(state)
    _nobody_waits_for_what_is_not_tried(state)
    _loads_are_fresh(state)


def check_admission(state: State, job: Job, before: Job) -> None:
    """1. At an admission the sum stays under the caps of each device, except for one job alone.

    `--share` is the exception for utilisation. A lease that was used although it had lapsed here is
    no admission: what it holds is charged all the same.
    """
    limits, loads = state.settings.limits, loads_of(state)
    kept = {held.device: held.memory for held in before.reservations}
    for held in job.reservations:
        load, seen = loads[held.device], state.devices[held.device].observed(job.id) or 0
        if job.lease is None and max(kept.get(held.device, 0), seen) >= held.memory:
            continue  # it stays there with all that it takes
        assert load.healthy
        if len(load.charges) > 1 or load.foreign:
            memory = load.external_memory + sum(c.memory for c in load.charges.values())
            assert memory + limits.headroom <= limits.memory * load.total, load
            strict = [c.utilization for c in load.charges.values() if not c.shares]
            busy = load.external_utilization + sum(strict)
            free = job.spec.share or not load.timed
            assert free or busy <= limits.utilization + EPSILON, load


def _in_the_store(state: State, stored: Mapping[int, Job]) -> None:
    """2. What the store has of each living job is what the scheduler knows of it."""
    for job in state.live():
        assert stored[job.id] == job


def _charged_while_there(state: State) -> None:
    """3. A job that has a process, or a lease, is charged for its devices.

    One that another coordinator granted counts as a foreign program: where it runs is not known.
    """
    for job in state.live():
        there = job.lease is not None or (job.process is not None and job.left is None)
        if there and job.granted:
            assert job.charged, job


def _consistent(state: State) -> None:
    """The fields of a job agree with its state."""
    for job in state.live():
        if job.state in (JobState.QUEUED, JobState.PAUSED) and not job.stays:
            assert job.process is None, job
            assert not job.charged or job.left is not None, "run again before it is seen gone"
        if job.state in (JobState.RUNNING, JobState.PAUSING) and job.left is None:
            # Its training said Resumed before its launcher said Spawned.
            spoke_first = job.attempt > 1 or job.checkpoint
            assert job.process is not None or spoke_first, job
        if job.state is JobState.PAUSING:
            assert job.pause is not None, job
        if job.state in (JobState.QUEUED, JobState.STARTING, JobState.RUNNING):
            assert job.pause is None, job
        assert not (job.state is JobState.QUEUED and job.checkpoint), job


def _nobody_waits_for_what_is_not_tried(state: State) -> None:
    """A rehearsal is under way, or only its checkpoint is still to come."""
    for number, tried in state.rehearsals.items():
        job = state.jobs[number]
        assert not job.state.ended, job
        assert tried.returning is not None or job.is_tried, job


def _loads_are_fresh(state: State) -> None:
    """What is kept of a load is what it would be now: no plan has left anything in it."""
    found, kept = _sums(state), state.loads
    state.loads = {}
    assert found == _sums(state)
    state.loads = kept


def _sums(state: State) -> list[Load]:
    return [msgspec.structs.replace(load) for load in loads_of(state).values()]
