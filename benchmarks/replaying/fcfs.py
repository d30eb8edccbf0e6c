"""First come, first served, on devices that nobody shares: task-spooler and simple queues."""

from collections import deque

from benchmarks.replaying.machine import Run
from benchmarks.replaying.policy import Costs, Policy
from benchmarks.replaying.rates import Rates
from benchmarks.replaying.trace import Work


class FirstCome(Policy):
    """One job a device; nobody passes the first in line."""

    name = "first come, first served"
    together = 1

    def __init__(self, devices: int, rates: Rates, costs: Costs) -> None:
        super().__init__(devices, rates, costs)
        self.line: deque[Work] = deque()

    def on_arrival(self, work: Work) -> None:
        """To the end of the line."""
        self.line.append(work)
        self._serve()

    def on_end(self, run: Run) -> None:
        """The next in line take its devices."""
        self.done(run)
        self._serve()

    def _serve(self) -> None:
        while self.line:
            work = self.line[0]
            room = self.machine.room(self.together)
            if len(room) < work.gpus:
                return
            self.line.popleft()
            self.begin(Run(work, work.seconds), room[: work.gpus])
