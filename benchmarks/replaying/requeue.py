"""Priority with preemption by requeue, as Slurm does it: PreemptMode=REQUEUE, no sharing.

A light task that finds no free device has the training that began last killed. That one goes back
into the queue, may not start for 120 s, and begins again at its last own checkpoint.
"""

from bisect import insort
from functools import partial

from benchmarks.replaying.machine import Run
from benchmarks.replaying.policy import Costs, Policy
from benchmarks.replaying.rates import Rates
from benchmarks.replaying.trace import Work

REQUEUE_DELAY = 120.0
"""Seconds before a requeued job may start again."""
CHECKPOINT_EVERY = 1800.0
"""Seconds of work between two checkpoints that a training makes by itself, at no cost."""


class Requeue(Policy):
    """One job a device; light tasks first, and in the place of trainings."""

    name = "preempt and requeue"

    def __init__(self, devices: int, rates: Rates, costs: Costs) -> None:
        super().__init__(devices, rates, costs)
        self.line: list[tuple[bool, int, Run]] = []
        self.trainings: list[Run] = []
        """Those that run, the last begun last."""

    def on_arrival(self, work: Work) -> None:
        """Into the line; then whoever can starts."""
        self._queue(Run(work, work.seconds))

    def on_end(self, run: Run) -> None:
        """The next in line take its devices."""
        self.done(run)
        if not run.work.light:
            self.trainings.remove(run)
        self._serve()

    def _queue(self, run: Run) -> None:
        insort(self.line, (not run.work.light, run.work.number, run))
        self._serve()

    def _serve(self) -> None:
        while self.line:
            run = self.line[0][-1]
            if run.work.light and not self.machine.room(1) and self.trainings:
                self._preempt(self.trainings.pop())
            room = self.machine.room(1)
            if len(room) < run.work.gpus:
                return
            self.line.pop(0)
            self._start(run, room)

    def _start(self, run: Run, room: list[int]) -> None:
        again = self.book[run.work.number].began is not None
        self.begin(run, room[: run.work.gpus], still=again)
        if not run.work.light:
            self.trainings.append(run)
        if again:
            self.clock.after(self.costs.resume, partial(self._loaded, run))

    def _preempt(self, run: Run) -> None:
        self.machine.stop(run)
        self.pauses += 1
        done = run.work.seconds - run.left
        thrown_away = done % CHECKPOINT_EVERY
        self.lost_work += thrown_away * run.work.gpus
        again = Run(run.work, run.left + thrown_away)
        self.clock.after(REQUEUE_DELAY, partial(self._queue, again))

    def _loaded(self, run: Run) -> None:
        """A training has loaded its checkpoint, unless it was preempted meanwhile."""
        if run.devices:
            self.machine.hold_still(run, still=False)
