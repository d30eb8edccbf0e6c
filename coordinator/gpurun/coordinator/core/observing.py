"""What a sample says of each job that it shows: its peak, its share of time, and incidents."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.estimator.seen import RISE, Look, Seen, looked
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.sample import Peak
from gpurun.coordinator.core.state import Holders, State
from gpurun.coordinator.core.transitions import Note
from gpurun.protocol.quantity import format_size

FULL = 0.02
"""Share of a device that is left when it counts as full: an allocation that failed wanted more."""


def observe(state: State, devices: Sequence[Device]) -> None:
    """Take in what the devices, which have just been looked at, show of own jobs."""
    shown: defaultdict[int, list[Device]] = defaultdict(list)
    for device in devices:
        for number in device.jobs():
            shown[number].append(device)
    holders = state.holders()
    for number, here in sorted(shown.items()):
        job = state.jobs.get(number)
        if job is not None and not job.state.ended and not job.parked:
            look = _look(state, job, here, holders)
            state.seen[number] = looked(state.seen_of(job), look)
            _note(state, job, state.seen[number])
    for device in devices:
        for peak in device.sample.peaks:
            _take_true_peak(state, peak)


def _take_true_peak(state: State, peak: Peak) -> None:
    """The driver's account knows of peaks between two samples."""
    job = state.jobs.get(peak.job)
    seen = state.seen_of(job) if job is not None and not job.state.ended else None
    if seen is not None and peak.memory > (seen.memory or 0):
        state.seen[peak.job] = msgspec.structs.replace(seen, memory=peak.memory)


def _look(state: State, job: Job, here: Sequence[Device], holders: Holders) -> Look:
    """One sample of a job: of several devices, the one on which it holds most."""
    most = max(here, key=lambda device: device.observed(job.id) or 0)
    rests = job.pause is not None and job.pause.captured > 0
    alone = () if rests else (device for device in here if _alone(job, device, holders))
    shares = [device.sample.utilization for device in alone]
    known = [share for share in shares if share is not None]
    ran = job.ran + max(0.0, state.now.boot - job.since)
    return Look(
        model=most.sample.name,
        memory=most.observed(job.id),
        utilization=max(known) if known else None,
        full=_full(most),
        assumed=any(device.assumes(job.id) for device in here),
        ran=ran,
    )


def _alone(job: Job, device: Device, holders: Holders) -> bool:
    """Whether all that the device does is the job's doing."""
    if not device.settled or device.foreign or device.jobs() != {job.id}:
        return False
    return all(holder.id == job.id for holder in holders[device.sample.uuid])


def _full(device: Device) -> bool:
    total, free = device.sample.total, device.sample.free
    return total is not None and free is not None and free <= FULL * total


def _note(state: State, job: Job, seen: Seen) -> None:
    """Write down a peak that has risen markedly, and one over a reservation as an incident."""
    peak = seen.memory or 0
    newly = [held for held in job.reservations if peak > held.memory and not job.outgrows(held)]
    over = [] if seen.assumed else newly
    if over:
        detail = f"uses {format_size(peak)} of {format_size(over[0].memory)} reserved"
        state.update(job, Note.OUTGREW, detail, incidents=job.incidents + 1, seen=seen)
    elif job.seen is None or job.seen.assumed > seen.assumed or _has_risen(job.seen, seen):
        state.update(job, seen=seen)


def _has_risen(before: Seen, seen: Seen) -> bool:
    return (seen.memory or 0) > RISE * (before.memory or 0)
