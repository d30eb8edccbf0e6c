"""What gpurun's monitor would see of the machine: a device is looked at where it changed."""

from collections.abc import Iterable, Mapping

from benchmarks.replaying.machine import Machine
from benchmarks.replaying.rates import Rates
from benchmarks.replaying.sizes import DEVICE_TOTAL, memory_of
from benchmarks.replaying.trace import Work

from gpurun.coordinator.core.events import Instant, SampleEvent
from gpurun.coordinator.core.sample import DeviceSample, ProcessSample


def share_of(work: Work, rates: Rates) -> float:
    """The utilization that a job is told to take and is seen to take.

    Gangs were not measured beside others: they are told to fill their devices.
    """
    return 1.0 if work.gpus > 1 else rates.taken(work.kind)


class Monitor:
    """The devices as samples show them."""

    def __init__(self, machine: Machine, jobs: Mapping[int, int]) -> None:
        self._machine = machine
        self._jobs = jobs
        """The job of each work, by the work's number."""
        self._changed = set(range(len(machine.on)))
        """Devices that are not as they were last shown."""

    def look(self, devices: Iterable[int]) -> None:
        """Somebody came to these devices or left them."""
        self._changed.update(devices)

    def sample(self, instant: Instant) -> SampleEvent:
        """The devices that have changed, as they are at this instant."""
        devices = tuple([self._look(index) for index in sorted(self._changed)])
        self._changed.clear()
        return SampleEvent(at=instant, taken=instant.boot, devices=devices)

    def _look(self, index: int) -> DeviceSample:
        works = [run.work for run in self._machine.on[index]]
        used = sum(memory_of(work.kind) for work in works)
        return DeviceSample(
            index=index,
            uuid=f"GPU-{index}",
            name="Replayed",
            total=DEVICE_TOTAL,
            free=DEVICE_TOTAL - used,
            utilization=min(1.0, sum(share_of(work, self._machine.rates) for work in works)),
            processes=tuple(self._process(work) for work in works),
        )

    def _process(self, work: Work) -> ProcessSample:
        job, share = self._jobs[work.number], share_of(work, self._machine.rates)
        memory = memory_of(work.kind)
        return ProcessSample(pid=job, start_time=1, memory=memory, utilization=share, job=job)
