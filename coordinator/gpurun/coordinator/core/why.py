"""`gpurun why JOB`: the admission sum, device by device, in a form a person can check by hand."""

from collections.abc import Iterable

from gpurun.coordinator.core.admission import EPSILON, Verdict, may_share
from gpurun.coordinator.core.forecast import remaining, wait_on
from gpurun.coordinator.core.job import Job, Way
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.needs import with_need
from gpurun.coordinator.core.pausing import cost, is_leaving, unasked_for, ways_left
from gpurun.coordinator.core.placement import nearness
from gpurun.coordinator.core.plan import Plan
from gpurun.coordinator.core.reasons import reason_of
from gpurun.coordinator.core.settings import Limits
from gpurun.coordinator.core.state import State
from gpurun.protocol.quantity import format_duration, format_share, format_size


def why_text(state: State, job: Job) -> str:
    """Why the job waits; of one that does not wait, what it holds or how it ended."""
    if job.state.ended:
        code = "" if job.exit_code is None else f", exit code {job.exit_code}"
        return f"{job.label} has ended: {job.state}{code}"
    if not job.state.waits:
        return "\n".join([f"{job.label} is {job.state}", *_holdings(state, job)])
    reason = reason_of(state, job)
    lines = [f"{job.label} is {job.state}: {reason.text if reason else 'its turn is next'}"]
    if job.spec.gpus == 0:
        return lines[0]
    plan = Plan(state)
    plan.make(until=job)
    job = with_need(state, job)
    verdicts = plan.verdicts(job)
    for verdict in verdicts:
        lines += _sum(job, verdict, state.settings.limits)
    return "\n".join([*lines, *_way_out(state, job, verdicts)])


def _way_out(state: State, job: Job, verdicts: list[Verdict]) -> Iterable[str]:
    """What must happen for a blocked job to start, and when that is expected."""
    blocked = [verdict for verdict in verdicts if not verdict.fits]
    if not job.ready or len(verdicts) - len(blocked) >= job.spec.gpus:
        return
    holders = min(blocked, key=nearness).load.charges if blocked else {}
    for number in (holder for holder in holders if holder != job.id):
        yield f"  {_will_leave(state, state.jobs[number], job)}"
    now, jobs = state.now.boot, state.jobs
    waits = [wait_on(v.load, job, jobs, state.settings, now, state.progress) for v in blocked]
    known = sorted(wait for wait in waits if wait is not None)
    lacking = job.spec.gpus - (len(verdicts) - len(blocked))
    if len(known) >= lacking:
        yield f"  expected to start in about {format_duration(known[lacking - 1])}"
    else:
        yield f"  {_why_unknown(blocked)}: its start is not known"


def _why_unknown(blocked: list[Verdict]) -> str:
    """What stands in the way of a forecast."""
    ahead = sorted({job for verdict in blocked for job in verdict.load.set_aside})
    if ahead:
        return f"room is set aside for jobs ahead of it ({', '.join(map(str, ahead))})"
    if not any(verdict.load.charges for verdict in blocked):
        return "no job of ours is in its way"
    return "nothing says when there will be room (--time would)"


def _will_leave(state: State, holder: Job, job: Job) -> str:
    now = state.now.boot
    if is_leaving(holder):
        return f"{holder.label} is about to make room"
    left = remaining(holder, now)
    if left is not None and left <= cost(holder, (ways_left(holder) or (Way.EXIT,))[0]):
        return f"{holder.label} ends in about {format_duration(left)}: sooner than a pause pays"
    end = remaining(holder, now, state.progress)
    until = "" if end is None else f", and ends in about {format_duration(end)}"
    if why := unasked_for(holder, job, state.settings, now):
        return f"{holder.label} is not asked to step aside: {why}{until}"
    if holder.refused:
        refused = " and ".join(dict.fromkeys(holder.refused))
        return f"{holder.label} has refused to {refused}: {holder.unpausable}{until}"
    return f"{holder.label} could step aside{until}"


def _holdings(state: State, job: Job) -> Iterable[str]:
    for held in job.reservations:
        device = state.devices.get(held.device)
        sample = device.sample if device else None
        place = f"GPU {sample.index} ({sample.name})" if sample else held.device
        used = (device.observed(job.id) if device else None) or 0
        over = f", uses {format_size(used)} and is charged for that" if used > held.memory else ""
        share = format_share(held.utilization)
        yield f"  holds {format_size(held.memory)} and {share} of {place}{over}"


def _sum(job: Job, verdict: Verdict, limits: Limits) -> list[str]:
    load, need = verdict.load, verdict.need
    result = "fits" if verdict.fits else f"does not fit ({verdict.code})"
    head = f"  GPU {load.index} ({load.name}): {result}"
    wanted = need.memory - (load.charges[job.id].memory if job.stays else 0)
    if verdict.alone and wanted > 0:
        free, needed = format_size(load.free), format_size(wanted)
        return [head, f"    alone on it: needs {needed} of {free} free, whatever the caps"]
    if refuses := _refusal(load):
        return [head, f"    {refuses}"]
    return [
        head,
        _memory_line(load, wanted, limits) if wanted > 0 or not job.stays else _KEPT,
        _SHARED if may_share(job, load) else _time_line(load, need.utilization, limits),
    ]


def _refusal(load: Load) -> str:
    """Why the device takes nobody, whatever the sum."""
    if not load.healthy:
        return f"takes nobody: {load.health}"
    if load.stale:
        return "takes nobody: it has not been seen lately"
    if load.outgrown:
        names = ", ".join(f"job {job}" for job in load.outgrown)
        return f"takes nobody: {names} uses more than was reserved, and nobody knows how much more"
    return ""


_KEPT = "    memory: it stands there and holds what it needs"
_SHARED = "    utilization: does not hold it back here (--share)"


def _memory_line(load: Load, need: int, limits: Limits) -> str:
    terms = [("other programs", load.external_memory)]
    terms += [(f"job {job}", charge.memory) for job, charge in load.charges.items()]
    terms += [(f"set aside for job {j}", charge.memory) for j, charge in load.set_aside.items()]
    terms += [("this job", need), ("headroom", limits.headroom)]
    total = sum(size for _, size in terms)
    cap = int(limits.memory * load.total)
    sign = "<=" if total <= cap else ">"
    return (
        f"    memory: {_terms(terms)} = {format_size(total)} {sign} {format_size(cap)} "
        f"({format_share(limits.memory)} of {format_size(load.total)})"
    )


def _time_line(load: Load, need: float, limits: Limits) -> str:
    if not load.timed:
        return "    utilization: cannot be measured here; memory alone decides"
    reserved = load.external_utilization + load.charged_utilization
    window = "unknown" if load.window is None else format_share(load.window)
    total = load.utilization + load.set_aside_utilization + need
    sign = "<=" if total <= limits.utilization + EPSILON else ">"
    return (
        f"    utilization: max(window {window}, other programs "
        f"{format_share(load.external_utilization)} + reserved "
        f"{format_share(reserved - load.external_utilization)}) + set aside "
        f"{format_share(load.set_aside_utilization)} + this job {format_share(need)} "
        f"= {format_share(total)} {sign} {format_share(limits.utilization)}"
    )


def _terms(terms: list[tuple[str, int]]) -> str:
    return " + ".join(f"{name} {format_size(size)}" for name, size in terms if size)
