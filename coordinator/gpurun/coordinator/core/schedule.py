"""One pass over the queue, a function of the state: it is planned, and then carried out."""

from gpurun.coordinator.core import orders, rehearsing, telling
from gpurun.coordinator.core.job import Job, PauseOrder, Stage
from gpurun.coordinator.core.lease import grant
from gpurun.coordinator.core.pausing import is_leaving
from gpurun.coordinator.core.plan import Plan
from gpurun.coordinator.core.reactions.stand import go_on
from gpurun.coordinator.core.state import State
from gpurun.protocol.job import JobState


def schedule(state: State) -> None:
    """Do one pass; and another where this one has made room, which no pass can see beforehand.

    Whoever is asked to step aside may be counted on by others, who then claim less elsewhere. That
    is worth a pass once for each who is asked, so that there is an end to it.
    """
    state.pass_wanted = False
    if _waits_for_hellos(state):
        return
    asked: set[int] = set()
    while True:
        before = len(asked)
        plan = _do_pass(state, asked)
        if len(asked) == before and not _makes_room(plan):
            return


def _do_pass(state: State, asked: set[int]) -> Plan:
    """Plan, carry it out, and tell who waits; note who is asked to step aside."""
    plan = Plan(state)
    plan.make()
    state.reasons = {job.id: reason for job, reason in plan.blocked}
    for job, chosen in plan.grants:
        grant(state, job, chosen)
    for job in plan.returns:
        go_on(state, job)
    state.pass_wanted = False  # what else makes room comes with an event of its own
    asked |= _settle_pauses(state, plan)
    telling.tell(state, [job for job, _ in plan.blocked])
    return plan


def _makes_room(done: Plan) -> bool:
    """Whether there is time now that there was not.

    Who shares has taken what others claimed, or a start has ended a window that spoke of more than
    is here now.
    """
    started = [job for job, _ in done.grants]
    shared = any(job.spec.share for job in started)
    on = {held.device for job in done.returns for held in job.regains}
    on.update(verdict.load.device for _, chosen in done.grants for verdict in chosen)
    return shared or any(done.loads[device].is_held_by_window for device in on)


def _settle_pauses(state: State, plan: Plan) -> set[int]:
    """Ask whom this pass wants; renew or withdraw what earlier passes asked.

    Give those who were asked anew, where others than their waiters may count on them.
    """
    asked = set()
    for job in state.jobs.active():
        waiters = tuple(plan.wanted.get(job.id, ()))
        order = job.pause
        if waiters and job.state is JobState.RUNNING and job.left is None:
            orders.ask(state, job, plan.ways[job.id], waiters)
            if _others_may_count_on(job, waiters, plan):
                asked.add(job.id)
        elif order is not None and waiters and job.parked and not is_leaving(job):
            rehearsing.break_off(state, job, "others lack what it keeps of its device")
            orders.leave(state, job, order, waiters)
        elif order is not None and order.stage is Stage.ASKED and job.left is None:
            _keep_or_withdraw(state, job, order, waiters)
    return asked


def _others_may_count_on(job: Job, waiters: tuple[int, ...], plan: Plan) -> bool:
    """Only who could have asked it itself; see pausing.leaves_for."""
    priority = job.spec.priority
    return any(b.spec.priority > priority and b.id not in waiters for b, _ in plan.blocked)


def _keep_or_withdraw(state: State, job: Job, order: PauseOrder, waiters: tuple[int, ...]) -> None:
    if not waiters and not order.by_user:
        orders.withdraw(state, job, order, "nobody waits for it any more")
    elif state.now.boot >= order.deadline:
        orders.renew(state, job, orders.awaited_by(order, waiters))
    elif waiters != order.waiters:
        state.update(job, pause=orders.awaited_by(order, waiters))


def _waits_for_hellos(state: State) -> bool:
    if state.now.boot >= state.quiet_until:
        state.expected.clear()
    return bool(state.expected)
