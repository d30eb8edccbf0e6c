"""One pass over the queue: who starts, who waits for what, and who is asked to step aside.

The pass is a function of the state. In the order of the queue each job is admitted, or its need is
set aside on the device that comes nearest, so that those behind it pass only into what is left.
"""

from gpurun.coordinator.core import orders
from gpurun.coordinator.core.admission import Verdict
from gpurun.coordinator.core.job import Job, PauseOrder, Stage
from gpurun.coordinator.core.lease import grant
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.order import in_order
from gpurun.coordinator.core.pausing import relief_for
from gpurun.coordinator.core.placement import choose, judge_all, nearest
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.words import blocked_text
from gpurun.protocol.job import JobState, ReasonCode, WaitReason
from gpurun.protocol.messages import Waiting


def schedule(state: State) -> None:
    """Do one pass: plan it, then carry it out."""
    state.pass_wanted = False
    if _waits_for_hellos(state):
        return
    plan = Plan(state)
    plan.make()
    for job, chosen in plan.grants:
        grant(state, job, chosen)
    for ahead, job, reason in plan.blocked:
        _tell(state, job, reason, ahead)
    _settle_pauses(state, plan.wanted)


class Plan:
    """What one pass would do; making it changes nothing but the loads that it works on."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loads = loads_of(state)
        self.grants: list[tuple[Job, list[Verdict]]] = []
        self.blocked: list[tuple[int, Job, WaitReason]] = []
        """Who waits, with the number of jobs ahead in the queue."""
        self.wanted: dict[int, list[int]] = {}
        """Jobs to pause, each with the waiting jobs that want it."""

    def make(self, until: Job | None = None) -> None:
        """Take the queue in order; stop before `until`, with the room that is left for it."""
        queue = in_order(self.state.waiting(), self.state.settings.pause, self.state.now.boot)
        for job in queue:
            if until is not None and job.id == until.id:
                return
            reason = _own_reason(self.state, job) or self._admit(job)
            if reason is not None:
                self.blocked.append((len(self.blocked), job, reason))

    def _admit(self, job: Job) -> WaitReason | None:
        """Give the job its devices, or say why it waits."""
        verdicts = judge_all(job.spec, self.loads.values(), self.state.settings)
        chosen = choose(job.spec, verdicts)
        if chosen is None:
            return self._block(job, verdicts)
        for verdict in chosen:
            verdict.load.charges[job.id] = verdict.need
        self.grants.append((job, chosen))
        return None

    def _block(self, job: Job, verdicts: list[Verdict]) -> WaitReason:
        state = self.state
        if not verdicts:
            text = state.problem or "no device that it may use is there"
            return WaitReason(ReasonCode.NO_DEVICE, text)
        blocked = [verdict for verdict in verdicts if not verdict.fits]
        if not blocked:
            text = f"{len(verdicts)} of the {job.spec.gpus} devices that it needs are there"
            return WaitReason(ReasonCode.GPUS, text)
        blocking = nearest(blocked)
        reason = _reason(state, job, blocking, verdicts)
        relief = relief_for(job, self.loads.values(), state.jobs, state.settings, state.now.boot)
        for victim in relief.victims if relief else ():
            self.wanted.setdefault(victim, []).append(job.id)
        self._set_aside(job, verdicts, relief.devices if relief else (blocking.load.device,))
        return reason

    def _set_aside(self, job: Job, verdicts: list[Verdict], devices: tuple[str, ...]) -> None:
        for verdict in verdicts:
            if verdict.fits or verdict.load.device in devices:
                verdict.load.set_aside[job.id] = verdict.need


def _settle_pauses(state: State, wanted: dict[int, list[int]]) -> None:
    """Ask whom this pass wants; renew or withdraw what earlier passes asked."""
    for job in list(state.jobs.values()):
        waiters = tuple(wanted.get(job.id, ()))
        order = job.pause
        if job.state is JobState.RUNNING and waiters and job.left is None:
            orders.ask(state, job, waiters)
        elif order is not None and order.stage is Stage.ASKED:
            _keep_or_withdraw(state, job, order, waiters)


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


def _own_reason(state: State, job: Job) -> WaitReason | None:
    """Why the job would wait on an empty machine too."""
    if job.held:
        return WaitReason(ReasonCode.HELD, f"held by hand; gpurun resume {job.id} lets it go on")
    if job.stopped or job.id not in state.launchers:
        return WaitReason(ReasonCode.STOPPED, "its launcher is stopped; fg in its shell")
    return None


def _reason(state: State, job: Job, blocking: Verdict, verdicts: list[Verdict]) -> WaitReason:
    code, text = blocking.code, blocked_text(state, blocking)
    if job.spec.gpus > 1:
        fitting = sum(verdict.fits for verdict in verdicts)
        code = ReasonCode.GPUS
        text = f"{fitting} of the {job.spec.gpus} devices it needs are free; {text}"
    return WaitReason(
        code=code or ReasonCode.GPUS,
        text=text,
        device=blocking.load.device,
        missing=blocking.missing,
        holders=tuple(blocking.load.charges),
    )


def _tell(state: State, job: Job, reason: WaitReason, ahead: int) -> None:
    known = state.reasons.get(job.id)
    if known is not None and _sounds_like(known[0], reason) and known[1] == ahead:
        return
    state.reasons[job.id] = (reason, ahead)
    message = Waiting(job=job.id, reason=reason, ahead=ahead)
    state.send(state.launchers.get(job.id), message)


def _sounds_like(one: WaitReason, other: WaitReason) -> bool:
    """Whether a person would hear no difference: the bytes that are missing change all the time."""
    return (one.code, one.text) == (other.code, other.text)
