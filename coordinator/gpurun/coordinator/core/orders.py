"""A pause order's life: asked, renewed while it is wanted, withdrawn, carried out."""

import msgspec

from gpurun.coordinator.core.job import Job, PauseOrder, Stage, Way
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.protocol.job import JobState
from gpurun.protocol.messages import EndTree, GoOn, Paused, PauseRequest


def ask(
    state: State, job: Job, how: Way, waiters: tuple[int, ...] = (), *, rehearsal: bool = False
) -> Job:
    """Ask a running job to step aside: for waiting jobs, or with none for a person.

    It is held then until the person resumes it, unless it is only a rehearsal.
    """
    order = PauseOrder(
        request=state.next_request,
        deadline=state.now.boot + state.settings.pause.deadline,
        by_user=not waiters,
        waiters=waiters,
        how=how,
        rehearsal=rehearsal,
    )
    state.next_request += 1
    person = "a rehearsal" if rehearsal else "a person"
    whom = ", ".join(f"job {waiter}" for waiter in waiters) or person
    job = state.move(
        job,
        Trigger.PAUSE,
        f"for {whom}",
        pause=order,
        request=order.request,
        held=job.held or not (waiters or rehearsal),
    )
    _say(state, job, order)
    return job


def leave(state: State, job: Job, order: PauseOrder, waiters: tuple[int, ...]) -> Job:
    """End a parked job whose checkpoint is on disk: they lack what it keeps of the device."""
    by_user = order.by_user and not order.rehearsal
    order = msgspec.structs.replace(
        order, how=Way.EXIT, waiters=waiters, by_user=by_user, rehearsal=False
    )
    whom = ", ".join(f"job {waiter}" for waiter in waiters)
    kept = seen_to_keep(state, job)
    job = state.move(job, Trigger.LEAVE, f"for {whom}", pause=order, parked_memory=kept)
    end = EndTree(job=job.id, attempt=job.attempt, request=order.request)
    state.send(state.launchers.get(job.id), end)
    return job


def seen_to_keep(state: State, job: Job) -> int | None:
    """Bytes of a device that a parked job is seen to keep, for the next decision about it."""
    if not job.parked:
        return job.parked_memory
    charges = [load.charges.get(job.id) for load in loads_of(state).values()]
    return max((charge.memory for charge in charges if charge is not None), default=0)


def renew(state: State, job: Job, order: PauseOrder) -> Job:
    """The deadline has passed and someone still wants it: a long validation is not a refusal."""
    deadline = state.now.boot + state.settings.pause.deadline
    order = msgspec.structs.replace(order, deadline=deadline, overdue=True)
    job = state.move(job, Trigger.OVERDUE, "still waiting for a safe point", pause=order)
    _say(state, job, order)
    return job


def ask_again(state: State, job: Job, order: PauseOrder) -> Job:
    """The training came back and runs: for it, what was asked before is void."""
    deadline = state.now.boot + state.settings.pause.deadline
    order = msgspec.structs.replace(
        order, deadline=deadline, stage=Stage.ASKED, captured=0.0, released=0.0, kept=0, held=0
    )
    job = state.move(job, Trigger.PAUSE, "again", pause=order)
    _say(state, job, order)
    return job


def withdraw(state: State, job: Job, order: PauseOrder, detail: str) -> Job:
    """Nobody wants the pause any more and nothing has been captured: the job goes on."""
    state.tell_training(job, GoOn(job=job.id, request=order.request))
    return state.move(job, Trigger.WITHDRAW, detail, pause=None, held=False)


def refused(state: State, job: Job, text: str) -> Job:
    """The training cannot be paused now; it goes on as if never asked."""
    order = job.pause
    ways = job.refused if order is None else (*job.refused, order.how)
    return state.move(
        job, Trigger.REFUSED, text, pause=None, held=False, refused=ways, unpausable=text
    )


def order_of(job: Job, request: int) -> PauseOrder | None:
    """The order under way if this is its request."""
    if job.state is JobState.PAUSING and job.pause is not None and job.pause.request == request:
        return job.pause
    return None


def parks_for(job: Job, request: int) -> bool:
    """Whether the job parks, or is parked, or comes back from that, for this request."""
    order = job.pause
    return order is not None and order.request == request and order.how is Way.PARK


def rests_for(job: Job, request: int) -> bool:
    """Whether the job is paused where it is for this request, and merely says so again."""
    return job.stays and job.pause is not None and job.pause.request == request


def awaited_by(order: PauseOrder, waiters: tuple[int, ...]) -> PauseOrder:
    """The order with those who wait for it now."""
    return msgspec.structs.replace(order, waiters=waiters)


def _say(state: State, job: Job, order: PauseOrder) -> None:
    message = PauseRequest(
        job=job.id, request=order.request, deadline=order.deadline, how=order.how
    )
    state.tell_training(job, message)
    if order.how is Way.PARK:  # a launcher of one that is parked keeps a coordinator running
        state.send(state.launchers.get(job.id), Paused(job=job.id, text=""))
