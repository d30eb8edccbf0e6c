"""The machine in virtual time: devices on which at most two jobs share, at the measured rates."""

import heapq
from collections.abc import Callable, Sequence
from itertools import count

from benchmarks.replaying.rates import Rates
from benchmarks.replaying.trace import Work

MOST_TOGETHER = 2
"""Jobs on one device: only pairs were measured."""


def _nobody(run: "Run") -> None:
    """Nobody wants to know."""
    del run


class Clock:
    """Virtual time: what is to happen, in order; of two things at one instant the first planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, instant: float, happening: Callable[[], None]) -> None:
        """Plan something; the past is now."""
        heapq.heappush(self._plan, (max(instant, self.now), next(self._numbers), happening))

    def after(self, seconds: float, happening: Callable[[], None]) -> None:
        """Plan something so many seconds from now."""
        self.at(self.now + seconds, happening)

    def run(self) -> None:
        """Let everything happen."""
        while self._plan:
            self.now, _, happening = heapq.heappop(self._plan)
            happening()


class Run:
    """One job on its devices, and what is left of its work."""

    def __init__(self, work: Work, left: float) -> None:
        self.work = work
        self.left = left
        """Seconds of work alone."""
        self.devices: tuple[int, ...] = ()
        self.still = False
        """It holds its devices and does no work: it loads, or saves."""
        self.speed = 0.0
        self.since = 0.0
        self.plan = 0
        """The number of its planned end: an older one is void."""


class Machine:
    """Who is on which device, how fast each goes, and when each comes to its end."""

    def __init__(self, devices: int, rates: Rates, clock: Clock) -> None:
        self.clock, self.rates = clock, rates
        self.on: list[list[Run]] = [[] for _ in range(devices)]
        self.ended: Callable[[Run], None] = _nobody
        """What to do when a job has done its work; it has left its devices."""
        self.busy = 0.0
        """Device-seconds in which somebody was on a device."""
        self.idle_held = 0.0
        """Device-seconds of trainings that hold devices and do no work."""
        self.worked = 0.0
        """Device-seconds of work done, counted as if each job had been alone."""
        self.most_together = 0
        self._busy_since = [0.0] * devices

    def room(self, most: int) -> list[int]:
        """The devices with fewer than so many jobs, those with the fewest first."""
        free = [device for device, runs in enumerate(self.on) if len(runs) < most]
        return sorted(free, key=lambda device: len(self.on[device]))

    def fits(self, work: Work, devices: Sequence[int]) -> bool:
        """Whether it was measured to fit beside all who are there."""
        others = (run.work.kind for device in devices for run in self.on[device])
        return all(self.rates.beside(work.kind, other) > 0 for other in others)

    def start(self, run: Run, devices: Sequence[int], *, still: bool = False) -> None:
        """Put a job on devices."""
        run.devices, run.still, run.since = tuple(devices), still, self.clock.now
        for device in devices:
            if not self.on[device]:
                self._busy_since[device] = self.clock.now
            self.on[device].append(run)
            self.most_together = max(self.most_together, len(self.on[device]))
        self._pace(run.devices)

    def hold_still(self, run: Run, still: bool) -> None:
        """It does no work from now on, or goes on."""
        self._account(run)
        run.still = still
        self._plan_end(run)

    def stop(self, run: Run) -> None:
        """Take a job off its devices, with what is left of its work."""
        self._account(run)
        run.plan += 1
        for device in run.devices:
            self.on[device].remove(run)
            if not self.on[device]:
                self.busy += self.clock.now - self._busy_since[device]
        left, run.devices = run.devices, ()
        self._pace(left)

    def _pace(self, devices: Sequence[int]) -> None:
        """Somebody came or went: the others there go at another speed."""
        for run in {id(run): run for device in devices for run in self.on[device]}.values():
            self._account(run)
            self._plan_end(run)

    def _account(self, run: Run) -> None:
        span, gpus = self.clock.now - run.since, run.work.gpus
        done = min(run.left, 0.0 if run.still else span * run.speed)
        run.left -= done
        run.since = self.clock.now
        self.worked += done * gpus
        if run.still and not run.work.light:
            self.idle_held += span * gpus

    def _plan_end(self, run: Run) -> None:
        run.plan += 1
        run.speed = self._speed(run)
        if not run.still:
            plan = run.plan
            self.clock.after(run.left / run.speed, lambda: self._end(run, plan))

    def _end(self, run: Run, plan: int) -> None:
        if plan == run.plan:
            self.stop(run)
            self.ended(run)

    def _speed(self, run: Run) -> float:
        """A gang goes as fast as its slowest member."""
        return min(
            (
                self.rates.beside(run.work.kind, other.work.kind)
                for device in run.devices
                for other in self.on[device]
                if other is not run
            ),
            default=1.0,
        )
