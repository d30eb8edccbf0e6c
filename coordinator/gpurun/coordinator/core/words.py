"""What is said to people: each sentence once, from the data that the reasons carry."""

from collections.abc import Iterable
from functools import lru_cache

from gpurun.coordinator.core.admission import Verdict
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.known import expected_time
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import ReasonCode
from gpurun.protocol.quantity import format_duration, format_share, format_size


def place_text(devices: Iterable[tuple[int, str]]) -> str:
    """Devices, each by its number and name, as a person knows them."""
    return ", ".join(f"GPU {index} ({name})" for index, name in devices) or "no GPU"


def step_text(step: int) -> str:
    """Where a training stands or goes on; empty where nobody counts its steps."""
    return f"at step {step}" if step else ""


def pause_text(state: State, job: Job) -> str:
    """For whom a job has stepped aside, and for about how long."""
    order = job.pause
    if job.is_tried and not job.held:
        return "for a rehearsal; it goes on at once"
    if order is not None and not (job.held or order.waiters or order.by_user):
        return "though nobody waits for it any more; it goes on by itself"
    if job.held or order is None or not order.waiters:
        return f"by hand; gpurun resume {job.id} lets it go on"
    waiters = [state.find(waiter) for waiter in order.waiters]
    names = " and ".join(waiter.label for waiter in waiters if waiter is not None)
    times = [expected_time(waiter) for waiter in waiters if waiter is not None]
    known = [time for time in times if time is not None]
    span = f"about {format_duration(max(known))}" if len(known) == len(times) else "unknown"
    return f"for {names} (time: {span}); it goes on by itself"


def blocked_text(state: State, verdict: Verdict, job: int = 0) -> str:
    """Why a job does not fit on the device that comes nearest, and who but itself holds it."""
    load, need = verdict.load, verdict.need
    where = f"GPU {load.index}"
    if load.outgrown and load.healthy and not load.stale:
        who = _names(load.outgrown)
        return f"{where} takes nobody more while {who} uses more than it reserved"
    match verdict.code:
        case ReasonCode.UNHEALTHY:
            return f"{where} takes no work: {load.health}"
        case ReasonCode.STALE:
            return f"{where} has not been seen lately{_because(state)}"
        case ReasonCode.UTILIZATION:
            what = f"{format_share(need.utilization)} of its time"
            lack = format_share(verdict.missing)
        case ReasonCode.WHOLE_DEVICE:
            need_text = format_size(need.memory)
            return f"needs {need_text}, more than {where} shares: waits for it to be empty" + (
                _holders(state, load, job)
            )
        case ReasonCode.SET_ASIDE:
            ahead = _names(load.set_aside)
            return f"room on {where} is set aside for {ahead}{_holders(state, load, job)}"
        case _:
            what = f"{format_size(need.memory)}"
            lack = format_size(int(verdict.missing))
    aside = _names(load.set_aside)
    ahead = f" behind what is set aside for {aside}" if aside else ""
    return f"needs {what} on {where} and {lack} is missing{ahead}{_holders(state, load, job)}"


def _names(jobs: Iterable[int]) -> str:
    return ", ".join([f"job {job}" for job in jobs])


def _because(state: State) -> str:
    return f": {state.problem}" if state.problem else ""


def _holders(state: State, load: Load, besides: int) -> str:
    held = []
    for job_id, charge in load.charges.items():
        if job_id == besides:
            continue
        job = state.jobs[job_id]
        held.append(_held(job.label, job.user, charge.memory, charge.utilization))
    if load.external_memory:
        held.append(f"other programs: {format_size(load.external_memory)}")
    return f"; held by {'; '.join(held)}" if held else ""


@lru_cache(maxsize=256)
def _held(label: str, user: str, memory: int, share: float) -> str:
    """Kept, for who holds a device is said in each pass to all that wait for it."""
    return f"{label}, {user}: {format_size(memory)}, {format_share(share)}"
