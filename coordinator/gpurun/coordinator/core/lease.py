"""A grant is a lease: it reserves devices at once and must be used before its deadline."""

from gpurun.coordinator.core.admission import Verdict
from gpurun.coordinator.core.job import Basis, Job, Reservation
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.coordinator.core.words import place_text
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import Grant

LEASE = 5.0
"""Seconds in which a grant must be used."""
LEASE_SLACK = 2.0
"""Seconds more before an unused lease goes back: the word that it was used may be on its way."""


def grant(state: State, job: Job, chosen: list[Verdict]) -> None:
    """Reserve the devices and offer the launcher a lease."""
    reservations = tuple(
        Reservation(v.load.device, v.need.memory, v.need.utilization) for v in chosen
    )
    place = place_text((verdict.load.index, verdict.load.name) for verdict in chosen)
    job = state.move(
        job,
        Trigger.GRANT,
        place,
        attempt=job.attempt + 1,
        lease=state.now.boot + LEASE,
        lapsed=None,
        reservations=reservations,
        granted=max((held.memory for held in reservations), default=0),
        basis=chosen[0].basis if chosen else Basis.TOLD,
        oom=False,
        needed=0,
        pausable=None,
        trainings=(),
        refused=(),
        unpausable="",
    )
    state.trainers.pop(job.id, None)
    state.progress.pop(job.id, None)
    state.forget_windows(job)
    state.send(state.launchers.get(job.id), grant_message(state, job))


def grant_message(state: State, job: Job) -> Grant:
    """The lease as the launcher is told of it; the edge adds the token."""
    held = [state.devices[r.device].sample for r in job.reservations if r.device in state.devices]
    return Grant(
        job=job.id,
        attempt=job.attempt,
        deadline=job.lease or 0.0,
        devices=tuple(reservation.device for reservation in job.reservations),
        token="",
        memory=max((r.memory for r in job.reservations), default=0),
        utilization=max((r.utilization for r in job.reservations), default=0.0),
        basis=job.basis,
        place=place_text((sample.index, sample.name) for sample in held),
        limit=job.granted if state.settings.limits.enforce else 0,
        resume=job.checkpoint if job.state is JobState.RESUMING else "",
        changed=job.takes_changes,
    )


def lapse(state: State, job: Job, detail: str) -> Job:
    """An unused lease goes back."""
    return state.move(
        job, Trigger.LAPSE, detail, lease=None, reservations=(), lapsed=job.reservations
    )


def reclaim(state: State, job: Job) -> Job:
    """The lease had been used in time, but the word comes late: what it holds is charged."""
    reservations = job.lapsed or ()
    return state.move(
        job, Trigger.GRANT, "used a lapsed lease", reservations=reservations, lapsed=None
    )


def lapse_leases(state: State) -> None:
    """Take back the leases that stopped launchers have let run out."""
    for job in state.jobs.active():
        if job.lease is not None and state.now.boot >= job.lease + LEASE_SLACK:
            state.update(lapse(state, job, "its launcher is stopped"), stopped=True)
