"""One device as the samples show it over time: what is foreign, and the window of utilization."""

from collections import deque
from collections.abc import Set

from gpurun.coordinator.core.sample import HEALTHY, DeviceSample

SETTLE = 1.0
"""Seconds after a start or an end in which the driver's utilization still speaks of the time
before: NVML reports the share of the last 1/6 to 1 second (nvml.h, nvmlUtilization_t)."""

UNSEEN = 10.0
"""Seconds after which an end is believed on a device that never showed what the job held."""
_USED_KEPT = 64
"""Samples of used memory in which the one before an end is looked for."""


class Device:
    """The last sample of one device and what has to be remembered between samples."""

    def __init__(self, sample: DeviceSample, taken: float) -> None:
        self.taken = taken
        self.foreign_share = 0.0
        self._window: deque[tuple[float, float]] = deque()
        self._restarted = float("-inf")
        self._used: deque[tuple[float, int]] = deque(maxlen=_USED_KEPT)
        self._unsized: set[int] = set()
        self._show(sample)
        self._remember()
        self._learn_foreign_share()

    def look(self, sample: DeviceSample, taken: float, window: float) -> None:
        """Take a new sample; the window keeps `window` seconds of them."""
        self.taken = taken
        if sample is not self.sample:
            self._show(sample)
        if sample.readings:
            settled = self._restarted + SETTLE
            self._window += [(r.taken, r.share) for r in sample.readings if r.taken >= settled]
        elif self.settled and sample.utilization is not None:
            self._window.append((taken, sample.utilization))
        self._remember()
        while self._window and self._window[0][0] < taken - window:
            self._window.popleft()
        self._learn_foreign_share()

    def restart_window(self, at: float) -> None:
        """Forget the past: something of ours started, ended or was released here at `at`."""
        self._window.clear()
        self._restarted = at

    @property
    def window(self) -> float | None:
        """Mean utilization over the window; None while there is none to speak of."""
        if not self._window:
            return None
        return sum([share for _, share in self._window]) / len(self._window)

    @property
    def healthy(self) -> bool:
        """Whether it may take work: it answers, and nothing is wrong with it."""
        return self.sample.health == HEALTHY and self.answers

    @property
    def answers(self) -> bool:
        """Whether its memory is known; it may be set aside all the same."""
        return self.sample.total is not None and self.sample.free is not None

    @property
    def timed(self) -> bool:
        """Whether its utilization can be measured: that of a MIG device cannot."""
        return self.sample.utilization is not None or bool(self.sample.readings)

    @property
    def foreign(self) -> bool:
        """Whether a compute process that is not ours is on it, or may be for all we know."""
        return bool(self.foreign_users)

    def jobs(self) -> Set[int]:
        """Own jobs that were seen on it."""
        return self._own.keys()

    def observed(self, job: int) -> int | None:
        """Bytes the job was seen to use here; None when it was seen but its memory was not."""
        return self._own.get(job, 0)

    def assumes(self, job: int) -> bool:
        """Whether what is shown of the job is only what it reserved."""
        return job in self._assumed

    def freed(self, job: int, left: float) -> bool:
        """Whether used memory has fallen since the job ended, for one whose own is not told.

        `left` is on CLOCK_BOOTTIME. One that held nothing is believed after a while.
        """
        if self.sample.processes_known and job not in self._unsized:
            return True
        before = [used for taken, used in self._used if taken < left]
        fallen = bool(before) and self._used[-1][1] < before[-1]
        return fallen or self.taken >= left + UNSEEN

    def forget(self, job: int) -> None:
        """The job is released."""
        self._unsized.discard(job)

    def _show(self, sample: DeviceSample) -> None:
        """Another sample than the last: what it says by itself is worked out once."""
        self.sample = sample
        self._own = _own(sample)
        self._assumed = {p.job for p in sample.processes if p.assumed}
        self._foreign = [p for p in sample.processes if p.job is None and p.compute]
        unknown = () if sample.processes_known else (None,)
        self.foreign_users = frozenset((*unknown, *(process.user for process in self._foreign)))
        """Whose compute processes that are not ours are on it; None where that is unknown."""

    def _remember(self) -> None:
        sample = self.sample
        if sample.total is not None and sample.free is not None:
            self._used.append((self.taken, sample.total - sample.free))
        for job, size in self._own.items():
            (self._unsized.add if size is None else self._unsized.discard)(job)

    @property
    def settled(self) -> bool:
        """Whether the driver's utilization speaks of the jobs that are here now."""
        return self.taken >= self._restarted + SETTLE

    def _learn_foreign_share(self) -> None:
        if not self.foreign:
            self.foreign_share = 0.0
            return
        shares = [process.utilization for process in self._foreign]
        known = [share for share in shares if share is not None]
        if len(known) == len(shares):
            self.foreign_share = min(1.0, sum(known))
        elif self.settled and not self.jobs():
            self.foreign_share = self.window or 0.0


def _own(sample: DeviceSample) -> dict[int, int | None]:
    """Bytes of each own job that the sample shows; None where those of a process are not known."""
    sizes: dict[int, int | None] = {}
    for process in sample.processes:
        if process.job is not None:
            before = sizes.get(process.job, 0)
            known = before is not None and process.memory is not None
            sizes[process.job] = before + process.memory if known else None  # type: ignore[operator]
    return sizes
