"""The plan of one pass: who would start, who waits for what, and who would step aside for whom.

In the order of the queue each job is admitted, or its need is set aside on the device that comes
nearest, so that those behind it pass only into what is left. The plan ends where nothing is left:
a blocked job's need is more than its device has, so that at most one for each device is looked at
in vain.
"""

from collections.abc import Iterator
from itertools import islice

import msgspec

from gpurun.coordinator.core import failures
from gpurun.coordinator.core.admission import Verdict, is_full, judge, judge_return
from gpurun.coordinator.core.job import WAYS, Job, Way
from gpurun.coordinator.core.ledger import Load
from gpurun.coordinator.core.loads import loads_of
from gpurun.coordinator.core.needs import with_need
from gpurun.coordinator.core.order import in_order
from gpurun.coordinator.core.pausing import is_leaving, stays_for_good, unasked
from gpurun.coordinator.core.placement import choose, judge_all, nearness
from gpurun.coordinator.core.reasons import own_reason
from gpurun.coordinator.core.relief import Relief, relief_for
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.words import blocked_text
from gpurun.protocol.job import ReasonCode, WaitReason

FURTHER = 2
"""Jobs behind the end of the pass that are looked at all the same, to say why they wait."""
URGENT = 8
"""Jobs of higher priority than one that may be asked to step aside that are looked at too."""


class Plan:
    """What one pass would do; making it changes nothing but the loads that it works on."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loads = loads_of(state)
        self.grants: list[tuple[Job, list[Verdict]]] = []
        self.blocked: list[tuple[Job, WaitReason]] = []
        """Who was looked at and waits, first in line first."""
        self.wanted: dict[int, list[int]] = {}
        """Jobs to pause, each with the waiting jobs that want it."""
        self.ways: dict[int, Way] = {}
        """How each of them is to step aside."""
        self.returns: list[Job] = []
        """Jobs that go on in the processes that they have."""
        self._unclear = failures.unclear(state)
        self._open = list(self.loads.values())
        """Devices that are not known to be full; a pass takes room and never gives any."""
        self._fixed = frozenset([job.id for job in state.jobs.active() if stays_for_good(job)])
        self._movers = self._who_may_step_aside()
        self._movable = frozenset([job.id for job in self._movers])

    def make(self, until: Job | None = None) -> None:
        """Take the queue in order; stop before `until`, with the room that is left for it."""
        for job in self._line():
            if until is not None and job.id == until.id:
                return
            if own_reason(self.state, job) is None and not self._is_unclear(job):
                self._take(with_need(self.state, job))

    def _is_unclear(self, job: Job) -> bool:
        return bool(self._unclear) and failures.work_of(job) in self._unclear

    def _line(self) -> Iterator[Job]:
        """The queue in order while there is any room, also for the last that needs only memory."""
        state = self.state
        deviceless = state.jobs.deviceless()
        yield from deviceless
        further, looked_at = FURTHER, {job.id for job in deviceless}
        sharers = state.jobs.sharers
        stayers = sum([job.stays and job.ready for job in state.jobs.active()])
        for job in in_order(state.jobs, state.settings.pause, state.now.boot):
            if job.id not in looked_at:
                looked_at.add(job.id)
                yield job
            sharers -= job.spec.share
            stayers -= job.stays
            further -= self._is_full()
            if further <= 0 and not stayers and not (sharers and self._has_memory()):
                break
        yield from (job for job in self._urgent() if job.id not in looked_at)

    def _urgent(self) -> Iterator[Job]:
        """Some for whom others may be asked to step aside, however long the line before them."""
        if self._movers:
            lowest = min(job.spec.priority for job in self._movers)
            yield from islice(self.state.jobs.above(lowest), URGENT)

    def _is_full(self) -> bool:
        """Whether nobody in the queue could start, nor be made room for."""
        while self._open and self._has_no_room(self._open[-1]):
            self._open.pop()
        return not self._open

    def _has_memory(self) -> bool:
        """Whether anyone who does not mind who else computes could start."""
        usable = (load for load in self.loads.values() if load.healthy and not load.stale)
        return any(load.memory_left > 0 for load in usable)

    def _has_no_room(self, load: Load) -> bool:
        if not is_full(load):
            return False
        movable = self._movable.intersection(load.charges)
        return not movable or is_full(load.without(movable))

    def _who_may_step_aside(self) -> list[Job]:
        """Those that are leaving, or may be asked for somebody in the queue."""
        state = self.state
        settings, now, top = state.settings, state.now.boot, state.jobs.top_priority
        return [
            job
            for job in state.jobs.active()
            if is_leaving(job) or (job.spec.priority < top and unasked(job, settings, now) == "")
        ]

    def _take(self, job: Job) -> None:
        """Give the job its devices, or say why it waits."""
        verdicts = self.verdicts(job)
        if job.stays:
            self._take_up(job, verdicts)
            return
        chosen = choose(job.spec, verdicts)
        if chosen is None:
            self.blocked.append((job, self._block(job, verdicts)))
            return
        for verdict in chosen:
            verdict.load.take(job.id, verdict.need)
        self.grants.append((job, chosen))

    def verdicts(self, job: Job) -> list[Verdict]:
        """The sum on each device that the job may use; for one that stays, where it does."""
        if job.left is not None:
            return []
        if not job.stays:
            return judge_all(job, self.loads.values(), self.state.settings)
        here = (
            (held, self.loads[held.device]) for held in job.regains if held.device in self.loads
        )
        return [judge_return(job, held, load) for held, load in here]

    def _take_up(self, job: Job, verdicts: list[Verdict]) -> None:
        """Let a job go on in its processes, or set aside what it lacks."""
        blocked = sorted((verdict for verdict in verdicts if not verdict.fits), key=nearness)
        if len(verdicts) < len(job.regains):
            text = self.state.problem or "a device that it was on is not there"
            self.blocked.append((job, WaitReason(ReasonCode.NO_DEVICE, text)))
            return
        if blocked:
            self.blocked.append((job, _reason(self.state, job, blocked[0], verdicts)))
        else:
            self.returns.append(job)
        for verdict in verdicts:
            need, charged = verdict.need, verdict.load.charges[job.id].memory
            if blocked:
                more = msgspec.structs.replace(need, memory=max(0, need.memory - charged))
                verdict.load.keep(job.id, more)
            else:
                whole = msgspec.structs.replace(need, memory=max(need.memory, charged))
                verdict.load.take(job.id, whole)

    def _block(self, job: Job, verdicts: list[Verdict]) -> WaitReason:
        state = self.state
        if not verdicts:
            text = state.problem or "no device that it may use is there"
            return WaitReason(ReasonCode.NO_DEVICE, text)
        blocked = sorted([v for v in verdicts if v.code is not None], key=nearness)
        if not blocked:
            text = f"{len(verdicts)} of the {job.spec.gpus} devices that it needs are there"
            return WaitReason(ReasonCode.GPUS, text)
        reason = _reason(state, job, blocked[0], verdicts)
        if sum([verdict.load.healthy for verdict in verdicts]) < job.spec.gpus:
            return reason  # while a device is lost, its gang keeps nobody from the others
        relief = self._relief(job, verdicts)
        for victim, way in relief.victims.items() if relief else ():
            self.wanted.setdefault(victim, []).append(job.id)
            self.ways[victim] = max(way, self.ways.get(victim, way), key=WAYS.index)
        aside = relief.devices if relief else self._to_drain(job, blocked, len(verdicts))
        if self._fixed:
            aside = tuple([v.load.device for v in blocked if self._claims(job, v, aside)])
        for verdict in verdicts:
            if verdict.code is None or verdict.load.device in aside:
                verdict.load.keep(job.id, verdict.need)
        return reason

    def _relief(self, job: Job, verdicts: list[Verdict]) -> Relief | None:
        below = job.spec.priority
        movable = [m.id for m in self._movers if m.spec.priority < below or is_leaving(m)]
        if not movable:
            return None
        state = self.state
        return relief_for(
            job, verdicts, state.jobs, frozenset(movable), state.settings, state.now.boot
        )

    def _claims(self, job: Job, verdict: Verdict, aside: tuple[str, ...]) -> bool:
        """Whether the job keeps others from a device: not where those that stay there are enough.

        They would wait for its claim, and it for what they keep, for ever.
        """
        load = verdict.load
        others = (load.charges.keys() | load.set_aside.keys()) - self._fixed
        settings = self.state.settings
        return load.device in aside and judge(job, load.without(frozenset(others)), settings).fits

    def _to_drain(self, job: Job, blocked: list[Verdict], devices: int) -> tuple[str, ...]:
        """The devices that others are kept from, beside those on which the job fits already.

        Only the nearest at first; all that a gang needs when it has waited for long, or single
        jobs could pass it for ever.
        """
        waited = job.waited + self.state.now.boot - job.since
        drains = waited >= self.state.settings.queue.drain_after
        lacking = job.spec.gpus - (devices - len(blocked)) if drains else 1
        return tuple([verdict.load.device for verdict in blocked[:lacking]])


def _reason(state: State, job: Job, blocking: Verdict, verdicts: list[Verdict]) -> WaitReason:
    code, text = blocking.code, blocked_text(state, blocking, job.id)
    if job.spec.gpus > 1:
        fitting = sum(verdict.fits for verdict in verdicts)
        code = ReasonCode.GPUS
        text = f"{fitting} of the {job.spec.gpus} devices it needs are free; {text}"
    return WaitReason(
        code=code or ReasonCode.GPUS,
        text=text,
        device=blocking.load.device,
        missing=blocking.missing,
        holders=tuple([holder for holder in blocking.load.charges if holder != job.id]),
    )
