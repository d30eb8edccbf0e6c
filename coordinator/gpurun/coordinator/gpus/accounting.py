"""The driver's accounting: where it is on, it keeps each process's true peak beyond its end.

A peak between two looks is seen by nobody else.
"""

from collections.abc import Iterable
from typing import Any

from gpurun.coordinator.core.sample import Peak, ProcessSample
from gpurun.coordinator.gpus.answers import NOT_FOUND, ask

_ON = 1


def is_on(nvml: Any, handle: Any) -> bool:
    """Whether the driver keeps account on this GPU; root turns it on with nvidia-smi -am 1."""
    return bool(ask(nvml, nvml.nvmlDeviceGetAccountingMode, handle) == _ON)


class Peaks:
    """The peaks of our jobs' processes on one device."""

    def __init__(self) -> None:
        self._jobs: dict[int, int] = {}

    def read(self, nvml: Any, handle: Any, processes: Iterable[ProcessSample]) -> tuple[Peak, ...]:
        """Give the peak of each own process, once more after its end."""
        here = {one.pid: one.job for one in processes if one.job is not None}
        asked, self._jobs = self._jobs | here, here
        sizes = ((job, _peak(nvml, handle, pid)) for pid, job in asked.items())
        return tuple(Peak(job, size) for job, size in sizes if size is not None)


def _peak(nvml: Any, handle: Any, pid: int) -> int | None:
    try:
        found = ask(nvml, nvml.nvmlDeviceGetAccountingStats, handle, pid)
    except nvml.NVMLError as error:
        if error.value == NOT_FOUND:
            return None
        raise
    return None if found is None else found.maxMemoryUsage
