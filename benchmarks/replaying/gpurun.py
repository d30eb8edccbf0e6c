"""gpurun's own scheduler in virtual time: launchers and trainings are spoken for.

All that happens at one instant is one batch, as in a turn of the daemon's loop. Where it may let
somebody start, a sample taken at that instant comes with it, as the monitor takes one at once after
an end; it shows the devices that have changed, for in between nothing on the others does. Light
tasks come from another user at high priority and say that they take twice as long as they do.
Trainings pause by exit at a step boundary.
"""

import math
import random
from functools import partial

import msgspec
from benchmarks.replaying.machine import Run
from benchmarks.replaying.monitor import Monitor, share_of
from benchmarks.replaying.policy import Costs, Policy
from benchmarks.replaying.rates import Rates
from benchmarks.replaying.sizes import memory_of
from benchmarks.replaying.trace import Work

from gpurun.coordinator.core.effects import Effect, Send
from gpurun.coordinator.core.events import Event, Instant, MessageEvent, TimerEvent
from gpurun.coordinator.core.job import Process
from gpurun.coordinator.core.scheduler import Scheduler
from gpurun.coordinator.core.settings import Settings
from gpurun.protocol import messages as m
from gpurun.protocol.job import JobSpec

HIGH = 50
TRAINER, LIGHT_USER = 1000, 1001
TICK = 0.001
"""Seconds that a timer comes after its instant."""


class Gpurun(Policy):
    """The same code that the daemon runs."""

    name = "gpurun"

    def __init__(
        self, devices: int, rates: Rates, costs: Costs, settings: Settings | None = None
    ) -> None:
        super().__init__(devices, rates, costs)
        self.settings = _never_stale(settings or Settings())
        self.scheduler = Scheduler(self.settings)
        self.pick = random.Random(0)  # noqa: S311 - a benchmark
        self.runs: dict[int, Run] = {}
        """Those that live, by job."""
        self.jobs: dict[int, int] = {}
        """The job of each work, by the work's number."""
        self.numbers = {f"GPU-{index}": index for index in range(devices)}
        self.monitor = Monitor(self.machine, self.jobs)
        self.asked: dict[int, int] = {}
        """The request that each training has been sent and has not come to."""
        self.events: list[Event] = []
        """What has happened at this instant and is still to be told."""
        self.timer = math.inf
        self._turn()

    # --- what happens

    def on_arrival(self, work: Work) -> None:
        """Its launcher submits it."""
        job = self.jobs[work.number] = len(self.jobs) + 1
        self.runs[job] = Run(work, work.seconds)
        launcher = Process(1_000_000 + job, 1)
        submit = m.Submit(uuid=f"w-{work.number}", spec=self._spec(work))
        self.say(job, submit, launcher)
        if work.gpus > 1:
            drains = self.settings.queue.drain_after + TICK
            self.clock.after(drains, lambda: self.tell(TimerEvent(at=self.instant)))

    def on_end(self, run: Run) -> None:
        """Its process has ended and its launcher says so."""
        self.done(run)
        job = self.jobs[run.work.number]
        self._exit(job, self.scheduler.state.jobs[job].attempt, 0)

    def on_grant(self, job: int, grant: m.Grant) -> None:
        """Its launcher spawns it; a training attaches, and one that comes back loads first."""
        run, devices = self.runs[job], [self.numbers[device] for device in grant.devices]
        self.begin(run, devices, still=bool(grant.resume))
        self.monitor.look(devices)
        self.say(job, m.Spawned(job=job, attempt=grant.attempt, pid=job, start_time=1))
        if self.book[run.work.number].failed:
            self._exit(job, grant.attempt, 1)
        elif not run.work.light:
            attempt, pausable = grant.attempt, ("exit",)
            self.say(job, m.Attach(job=job, attempt=attempt, token="", pid=job, pausable=pausable))
            if grant.resume:
                self.clock.after(self.costs.resume, partial(self._resumed, job, attempt))

    def on_pause_request(self, job: int, request: m.PauseRequest) -> None:
        """The training comes to its next step boundary."""
        run = self.runs[job]
        self.asked[job] = request.request
        boundary = self.pick.random() * run.work.step / (run.speed or 1.0)
        self.clock.after(boundary, partial(self._capture, job, request))

    # --- a pause by exit

    def _capture(self, job: int, request: m.PauseRequest) -> None:
        if self.asked.pop(job, None) != request.request or job not in self.runs:
            return
        if self.clock.now > request.deadline:
            self._train(job, m.Overdue, request=request.request)
            return
        self.machine.hold_still(self.runs[job], still=True)
        self._train(job, m.Capturing, request=request.request)
        self.clock.after(self.costs.save, partial(self._durable, job, request.request))

    def _durable(self, job: int, request: int) -> None:
        facts = {"checkpoint": f"/{job}", "step": 0, "size": 0, "seconds": self.costs.save}
        self._train(job, m.Durable, request=request, **facts)

    def on_end_tree(self, job: int, end: m.EndTree) -> None:
        """The launcher ends it; its memory is seen free when the release is over."""
        self.pauses += 1
        self.clock.after(self.costs.release, partial(self._tree_ended, job, end))

    def _tree_ended(self, job: int, end: m.EndTree) -> None:
        devices = self.runs[job].devices
        self.machine.stop(self.runs[job])
        self.monitor.look(devices)
        exited = m.Exited(job=job, attempt=end.attempt, code=137, request=end.request)
        self.say(job, exited)

    def _resumed(self, job: int, attempt: int) -> None:
        self.machine.hold_still(self.runs[job], still=False)
        self.say(job, m.Resumed(job=job, attempt=attempt, token="", step=0))

    # --- the wire

    def say(self, job: int, message: m.Message, sender: Process | None = None) -> None:
        """A launcher or a training says something."""
        uid = LIGHT_USER if self.runs[job].work.light else TRAINER
        self.tell(
            MessageEvent(
                at=self.instant,
                peer=b"%d" % job,
                uid=uid,
                user=str(uid),
                message=message,
                sender=sender,
            )
        )

    def tell(self, event: Event) -> None:
        """Give the scheduler an event, in one batch with all others of this instant."""
        if not self.events:
            self.clock.after(0.0, self._turn)
        self.events.append(event)

    def _turn(self) -> None:
        """One turn of the daemon's loop: a batch with a fresh sample, and what is to be done."""
        batch, self.events = self.events, []
        if not batch or not all(map(_frees_nothing, batch)):
            batch.append(self.monitor.sample(self.instant))
        for effect in self.scheduler.handle_all(batch):
            self._carry_out(effect)
        self._set_timer()

    def _carry_out(self, effect: Effect) -> None:
        if not isinstance(effect, Send):
            return
        match effect.message:
            case m.Grant(job=job) as grant:
                self.on_grant(job, grant)
            case m.PauseRequest(job=job) as request:
                self.on_pause_request(job, request)
            case m.GoOn(job=job):
                self.asked.pop(job, None)
            case m.EndTree(job=job) as end:
                self.on_end_tree(job, end)

    def _train(self, job: int, kind: type[m.Message], **fields: object) -> None:
        attempt = self.scheduler.state.jobs[job].attempt
        self.say(job, kind(job=job, attempt=attempt, token="", **fields))

    def _exit(self, job: int, attempt: int, code: int) -> None:
        held = self.scheduler.state.jobs[job].reservations
        self.monitor.look([self.numbers[reservation.device] for reservation in held])
        self.asked.pop(job, None)
        self.say(job, m.Exited(job=job, attempt=attempt, code=code))
        del self.runs[job]

    def _set_timer(self) -> None:
        """Wake the scheduler when time alone changes something."""
        wake = self.scheduler.wake_at()
        due = math.inf if wake is None else wake + TICK
        if due != self.timer:
            self.timer = due
            if wake is not None:
                self.clock.at(due, partial(self._wake, due))

    def _wake(self, instant: float) -> None:
        if instant == self.timer:
            self.timer = math.inf
            self.tell(TimerEvent(at=self.instant))

    @property
    def instant(self) -> Instant:
        """The present."""
        return Instant(self.clock.now, self.clock.now)

    def _spec(self, work: Work) -> JobSpec:
        return JobSpec(
            command=("python", "train.py"),
            cwd="/",
            name=work.kind,
            memory=memory_of(work.kind),
            utilization=share_of(work, self.rates),
            priority=HIGH if work.light else 0,
            gpus=work.gpus,
            time=2 * work.seconds if work.light else None,
        )


def _never_stale(settings: Settings) -> Settings:
    """A device stays as it was shown until it is shown again: no look at it is too old."""
    monitor = msgspec.structs.replace(settings.monitor, interval=math.inf)
    return msgspec.structs.replace(settings, monitor=monitor)


_FREE_NOTHING = (m.Spawned, m.Capturing, m.Durable, m.Resumed)


def _frees_nothing(event: Event) -> bool:
    """After these nobody can start who could not before: the scheduler needs no sample for them."""
    return isinstance(event, MessageEvent) and isinstance(event.message, _FREE_NOTHING)
