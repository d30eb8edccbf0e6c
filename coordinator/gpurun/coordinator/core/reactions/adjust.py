"""Adjust: what was said of a job changes; what it holds grows only into room that is there."""

import msgspec

from gpurun.coordinator.core.admission import judge
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.job import Basis, Job, Reservation
from gpurun.coordinator.core.known import told_memory
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.plan import Plan
from gpurun.coordinator.core.reactions.authority import named
from gpurun.coordinator.core.reactions.stand import still
from gpurun.coordinator.core.request import malformed, too_much
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note
from gpurun.coordinator.core.words import blocked_text
from gpurun.protocol.job import JobSpec
from gpurun.protocol.messages import Adjust, Done, Problem
from gpurun.protocol.quantity import format_duration, format_share, format_size


def on_adjust(state: State, event: MessageEvent, message: Adjust) -> None:
    """Answered at once; a change that is refused changes nothing."""
    job = named(state, event, message.job)
    if job is None:
        return
    spec = _changed(job.spec, message)
    if spec == job.spec:
        _refuse(state, event, f"nothing of {job.label} changes; gpurun adjust --help shows how", 2)
        return
    if text := malformed(spec):
        _refuse(state, event, text, 2)
        return
    if problem := too_much(state, spec):
        state.send(event.peer, problem)
        return
    reserved = _reserved(state, job, spec, message)
    if isinstance(reserved, str):
        _refuse(state, event, f"{job.label} cannot be adjusted now: {reserved}", 1)
        return
    _adjust(state, job, spec, reserved, memory=_tells_memory(message))
    state.send(event.peer, Done(job=job.id, text=f"{job.label}: {_said(message)}"))


def _adjust(
    state: State, job: Job, spec: JobSpec, reserved: tuple[Reservation, ...], *, memory: bool
) -> None:
    changes: dict[str, object] = {"reservations": reserved}
    if job.parked:
        changes = {"regains": reserved}
    elif job.stays:
        changes = {"reservations": tuple(map(still, reserved)), "regains": reserved}
    if memory and reserved:
        changes |= {"granted": max(held.memory for held in reserved), "basis": Basis.TOLD}
    state.update(job, Note.ADJUSTED, "by a person", spec=spec, **changes)
    state.untold.add(job.id)
    state.pass_wanted = True


def _changed(spec: JobSpec, message: Adjust) -> JobSpec:
    told = {
        name: value
        for name in ("priority", "utilization", "time")
        if (value := getattr(message, name)) is not None
    }
    if message.memory is not None or message.memory_share is not None:
        told |= {"memory": message.memory, "memory_share": message.memory_share}
    return msgspec.structs.replace(spec, **told)


def _reserved(
    state: State, job: Job, spec: JobSpec, message: Adjust
) -> tuple[Reservation, ...] | str:
    """What the job holds with the figures that were told, or why there is no room for that."""
    whole = job.regains or job.reservations
    if not job.charged or not (_tells_memory(message) or message.utilization):
        return whole
    plan = Plan(state)
    plan.make()
    held = []
    for before in whole:
        load = plan.loads.get(before.device)
        if load is None or load.stale or not load.healthy:
            return "its device is not seen now"
        after = _after(before, spec, message, load)
        if after.memory < job.takes_back:
            return f"it takes {format_size(job.takes_back)} back when it goes on"
        now = still(after) if job.stays else after
        grows = now.memory > before.memory or now.utilization > before.utilization
        verdict = judge(_wishing(job, now), load.without(frozenset({job.id})), state.settings)
        if grows and not job.parked and not verdict.fits:
            return blocked_text(state, verdict)
        held.append(after)
    return tuple(held)


def _tells_memory(message: Adjust) -> bool:
    return message.memory is not None or message.memory_share is not None


def _after(before: Reservation, spec: JobSpec, message: Adjust, load: Load) -> Reservation:
    """Only what was told changes."""
    if _tells_memory(message):
        memory = told_memory(spec, load) or before.memory
        before = msgspec.structs.replace(before, memory=memory)
    if message.utilization is not None:
        most = min(message.utilization, load.limits.utilization)
        before = msgspec.structs.replace(before, utilization=most)
    return before


def _wishing(job: Job, held: Reservation) -> Job:
    """The job as if it asked for just this."""
    figures = {"memory": held.memory, "memory_share": None, "utilization": held.utilization}
    return msgspec.structs.replace(job, spec=msgspec.structs.replace(job.spec, **figures))


def _said(message: Adjust) -> str:
    parts = []
    if message.priority is not None:
        parts.append(f"priority {message.priority}")
    if message.memory is not None:
        parts.append(f"{format_size(message.memory)} of each device")
    if message.memory_share is not None:
        parts.append(f"{format_share(message.memory_share)} of each device's memory")
    if message.utilization is not None:
        parts.append(f"{format_share(message.utilization)} of each device's time")
    if message.time is not None:
        parts.append(f"takes {format_duration(message.time)}")
    return ", ".join(parts) + " from now on"


def _refuse(state: State, event: MessageEvent, text: str, code: int) -> None:
    state.send(event.peer, Problem(text=text, code=code))
