"""The state as `gpurun status --json` shows it; the names are the contract's."""

from collections.abc import Callable, Iterable

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.known import (
    basis_to_be,
    confidence,
    expected_memory,
    known_utilization,
)
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.needs import with_need
from gpurun.coordinator.core.progress import time_left
from gpurun.coordinator.core.reasons import reason_of
from gpurun.coordinator.core.state import State
from gpurun.protocol import status
from gpurun.protocol.job import JobState

ToText = Callable[[float], str]
"""Seconds since the epoch to UTC ISO 8601."""


def device_views(state: State) -> tuple[status.Device, ...]:
    """Every device, in the order of their numbers."""
    return tuple(_device(state, load) for load in loads_of(state).values())


def job_views(state: State, jobs: Iterable[Job], instant: ToText) -> tuple[status.Job, ...]:
    """These jobs, as everybody may see them."""
    return tuple(job_view(state, job, instant) for job in jobs)


def job_view(state: State, job: Job, instant: ToText) -> status.Job:
    """One job; its clocks run up to the present."""
    spans = _spans(state, job)
    job = with_need(state, job) if job.state.waits else job
    known = job.granted > 0
    held = job.reservations[0] if job.reservations else None
    return status.Job(
        id=job.id,
        name=job.spec.name,
        user=job.user,
        command=job.spec.command,
        state=job.state,
        held=job.held,
        reason=_reason(state, job),
        priority=job.spec.priority,
        devices=tuple(reservation.device for reservation in job.reservations),
        request=status.Requested(job.spec.gpus, job.spec.memory, job.spec.utilization),
        estimate=status.Estimate(
            memory=job.granted if known else job.spec.memory or expected_memory(job),
            utilization=held.utilization if held else known_utilization(job),
            basis=job.basis if known else basis_to_be(job),
            confidence=confidence(job),
        ),
        observed=_observed(state, job),
        pid=job.process.pid if job.process and not job.state.ended else None,
        submitted=instant(job.submitted_at),
        started=None if job.started_at is None else instant(job.started_at),
        ended=None if job.ended_at is None else instant(job.ended_at),
        exit_code=job.exit_code,
        waited=spans[0],
        ran=spans[1],
        paused=spans[2],
        pauses=job.pauses,
        attempt=job.attempt,
        pausable=job.pausable,
        progress=_progress(state, job),
        incidents=job.incidents,
    )


def _spans(state: State, job: Job) -> tuple[float, float, float]:
    """Seconds waited, ran and paused, with the phase under way."""
    span = 0.0 if job.state.ended else max(0.0, state.now.boot - job.since)
    waits = job.state in (JobState.QUEUED, JobState.STARTING)
    away = job.state in (JobState.PAUSED, JobState.RESUMING)
    return (
        job.waited + span * waits,
        job.ran + span * (not waits and not away),
        job.paused + span * away,
    )


def _reason(state: State, job: Job) -> status.Reason | None:
    reason = reason_of(state, job)
    return None if reason is None else status.Reason(reason.code, reason.text)


def _progress(state: State, job: Job) -> status.Progress | None:
    """As it said itself; while it is paused, nothing of what is left goes by."""
    said = state.progress.get(job.id)
    if said is None:
        return None
    trains = job.state in (JobState.RUNNING, JobState.PAUSING)
    left = time_left(said, state.now.boot if trains else said.at)
    return status.Progress(step=said.step, total=said.total, text=said.text, left=left)


def _observed(state: State, job: Job) -> status.Observed:
    sizes = []
    for held in job.reservations:
        device = state.devices.get(held.device)
        if device is not None and job.id in device.jobs():
            sizes.append(device.observed(job.id))
    known = [size for size in sizes if size is not None]
    seen = state.seen_of(job)
    return status.Observed(
        memory=sum(known) if sizes and len(known) == len(sizes) else None,
        memory_peak=seen.memory if seen else None,
        utilization=seen.utilization if seen else None,
    )


def _device(state: State, load: Load) -> status.Device:
    device = state.devices[load.device]
    sample = device.sample
    total = max(load.total, 1)
    limits = state.settings.limits
    return status.Device(
        index=load.index,
        uuid=load.device,
        name=load.name,
        health="stale" if load.stale else load.health,
        memory=status.DeviceMemory(
            total=load.total,
            used=load.total - load.free,
            external=load.external_memory,
            reserved=load.charged_memory,
            free=load.free,
        ),
        utilization=status.DeviceUtilization(
            now=sample.utilization,
            window=load.window,
            external=load.external_utilization,
            reserved=load.charged_utilization,
        ),
        load=status.Amounts((load.external_memory + load.charged_memory) / total, load.utilization),
        caps=status.Amounts(limits.memory, limits.utilization),
        processes=tuple(
            status.ProcessUse(
                process.pid, process.user, process.memory, process.job, process.command
            )
            for process in sample.processes
        ),
    )
