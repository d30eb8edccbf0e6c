"""Which processes hold a device, as the driver lists them."""

import os
from typing import Any

import msgspec

from gpurun.coordinator.gpus.answers import ask

_SUSPICIOUS = 3
"""Looks in a row in which /proc knows none of the listed processes."""


class Listed(msgspec.Struct, frozen=True):
    """One process on a device."""

    memory: int | None
    compute: bool


class Lists:
    """The lists of one device."""

    def __init__(self) -> None:
        self._strange = 0

    @property
    def suspect(self) -> bool:
        """Whether the driver keeps naming nobody that is there.

        Then it speaks of another pid namespace, or its entries have another layout than ours.
        """
        return self._strange >= _SUSPICIOUS

    def read(self, nvml: Any, handle: Any) -> dict[int, Listed] | None:
        """Give each process once: who computes and draws is in both lists with one memory.

        None where the driver tells of no processes. Sizes in a suspect list are not believed.
        """
        computing = _list(nvml, handle, "Compute")
        drawing = _list(nvml, handle, "Graphics")
        if computing is None and drawing is None:
            return None
        listed = {pid: Listed(size, compute=False) for pid, size in (drawing or {}).items()}
        listed |= {pid: Listed(size, compute=True) for pid, size in (computing or {}).items()}
        self._strange = self._strange + 1 if _nobody_is_there(listed) else 0
        if self.suspect:
            return {pid: Listed(None, one.compute) for pid, one in listed.items()}
        return listed


def _nobody_is_there(pids: dict[int, Listed]) -> bool:
    return bool(pids) and not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def _list(nvml: Any, handle: Any, what: str) -> dict[int, int | None] | None:
    name = f"nvmlDeviceGet{what}RunningProcesses"
    try:
        found = ask(nvml, getattr(nvml, name), handle)
    except nvml.NVMLLibraryMismatchError:  # a driver from before the third version
        found = ask(nvml, getattr(nvml, f"{name}_v2"), handle)
    return None if found is None else {one.pid: one.usedGpuMemory for one in found}
