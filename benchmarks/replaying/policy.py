"""What all policies share: the machine, and the book of what became of each job."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.replaying.machine import Clock, Machine, Run
from benchmarks.replaying.rates import Rates
from benchmarks.replaying.trace import Work


@dataclass(slots=True)
class Outcome:
    """What became of one job."""

    work: Work
    began: float | None = None
    """When it first had its devices."""
    ended: float | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that a pause by exit, or a new start from a checkpoint, is assumed to take.

    All that time the training holds its devices and does no work.
    """

    save: float = 5.0
    release: float = 2.0
    resume: float = 20.0


class Policy(ABC):
    """Decides who runs where; jobs come, and end when they have done their work."""

    name = ""

    def __init__(self, devices: int, rates: Rates, costs: Costs) -> None:
        self.clock = Clock()
        self.machine = Machine(devices, rates, self.clock)
        self.machine.ended = self.on_end
        self.rates, self.costs = rates, costs
        self.book: dict[int, Outcome] = {}
        self.pauses = 0
        """How often a training had to leave its devices."""
        self.lost_work = 0.0
        """Device-seconds of work that was done and thrown away."""

    def replay(self, works: Sequence[Work]) -> None:
        """Let all jobs come, and wait until the last has ended."""
        for work in works:
            self.book[work.number] = Outcome(work)
            self.clock.at(work.arrival, partial(self.on_arrival, work))
        self.clock.run()

    @abstractmethod
    def on_arrival(self, work: Work) -> None:
        """A job has come."""

    @abstractmethod
    def on_end(self, run: Run) -> None:
        """A job has done its work and left its devices; the book has it."""

    def begin(self, run: Run, devices: Sequence[int], *, still: bool = False) -> None:
        """Put a job on devices; one that does not fit beside those who are there fails at once."""
        outcome = self.book[run.work.number]
        if outcome.began is None:
            outcome.began = self.clock.now
        if self.machine.fits(run.work, devices):
            self.machine.start(run, devices, still=still)
        else:
            outcome.failed, outcome.ended = True, self.clock.now

    def done(self, run: Run) -> None:
        """Write down a regular end."""
        self.book[run.work.number].ended = self.clock.now
