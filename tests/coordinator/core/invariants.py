"""The invariants of docs/architecture.md, as code."""

from collections.abc import Mapping

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState

EPSILON = 1e-6


def check(state: State, stored: Mapping[int, Job]) -> None:
    """Fail where any of them does not hold between two events."""
    _under_the_caps(state)
    _in_the_store(state, stored)
    _charged_while_there(state)
    _consistent(state)


def _under_the_caps(state: State) -> None:
    """1. Reservations stay under the caps of each device, except for one job alone on it.

    `--share` is the exception for utilisation.
    """
    limits = state.settings.limits
    for load in loads_of(state).values():
        if len(load.charges) < 2:
            continue
        reserved = sum(
            held.memory
            for job in state.charged()
            for held in job.reservations
            if held.device == load.device
        )
        assert reserved <= limits.memory * load.total, load
        busy = sum(charge.utilization for charge in load.charges.values() if not charge.shares)
        assert not load.timed or busy <= limits.utilization + EPSILON, load


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
        if job.state in (JobState.QUEUED, JobState.PAUSED):
            assert job.process is None, job
            assert not job.charged, job
        if job.state in (JobState.RUNNING, JobState.PAUSING) and job.left is None:
            spoke_first = job.attempt > 1  # its training said Resumed before its launcher Spawned
            assert job.process is not None or spoke_first, job
        if job.state is JobState.PAUSING:
            assert job.pause is not None, job
        if job.state in (JobState.QUEUED, JobState.STARTING, JobState.RUNNING):
            assert job.pause is None, job
        assert not (job.state is JobState.QUEUED and job.checkpoint), job
