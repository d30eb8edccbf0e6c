"""The NVIDIA driver's own word, through NVML and its Python binding, nvidia-ml-py.

Codes and meanings: nvml.h. NVML is opened once and stays open: opening and closing it is what
costs. pynvml's errors are told apart by `value`, since they can be neither hashed nor compared.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess, ProcessSample
from gpurun.coordinator.gpus.devices import DevicesError
from gpurun.coordinator.gpus.holders import holder
from gpurun.coordinator.processes import Table

# Codes of nvmlReturn_t, named here because pynvml is loaded only where a driver is asked.
_NOT_SUPPORTED, _NO_PERMISSION, _INSUFFICIENT_SIZE = 3, 4, 7
_DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND, _VERSION_MISMATCH = 9, 12, 18

_CURES = {
    _NO_PERMISSION: "the NVIDIA driver gives this user no access ({}); "
    "ask for access to /dev/nvidia*, or put the coordinator where it has it",
    _VERSION_MISMATCH: "the NVIDIA driver was updated and the kernel still runs the old one ({}); "
    "restart the machine, or reload the nvidia kernel modules",
} | dict.fromkeys(
    (_DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND),
    "no NVIDIA driver found ({}); install the driver, or try a simulated device: "
    "GPURUN_DEVICES=sim:24GiB gpurun …",
)
_OTHER_CURE = "the NVIDIA driver does not answer ({}); see what nvidia-smi says"
_TRIES = 3
"""Reads of a process list that outgrows its array each time."""


class _Unit(msgspec.Struct):
    """One GPU as the driver numbers it; what was once learned of it outlives its loss."""

    index: int
    uuid: str = ""
    name: str = "unknown"
    handle: Any = None


class NvmlDevices:
    """The GPUs of this machine."""

    def __init__(self) -> None:
        self._units: list[_Unit] = []
        self._nvml: Any = None

    def open(self) -> None:
        """Load the driver's library and count its GPUs; raise DevicesError with the cure."""
        import pynvml

        try:
            pynvml.nvmlInit()
            self._nvml = pynvml
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            self.close()
            raise DevicesError(_CURES.get(error.value, _OTHER_CURE).format(error)) from None
        if count == 0:
            self.close()
            raise DevicesError("the NVIDIA driver lists no GPU; see what nvidia-smi says")
        self._units = [_Unit(index, f"GPU-unknown-{index}") for index in range(count)]

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        """Look at each GPU once; one that is lost says so, and the others go on."""
        table = Table(own)
        return tuple(self._sample(unit, table) for unit in self._units)

    def close(self) -> None:
        """Leave NVML, on the thread that used it: a call that is under way would crash."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
        self._nvml, self._units = None, []

    def _sample(self, unit: _Unit, table: Table) -> DeviceSample:
        try:
            self._identify(unit)
            return self._read(unit, table)
        except self._nvml.NVMLError as error:
            unit.handle = None
            return DeviceSample(
                index=unit.index,
                uuid=unit.uuid,
                name=unit.name,
                total=None,
                free=None,
                utilization=None,
                health=f"the driver cannot read it ({error}); see what nvidia-smi says",
            )

    def _identify(self, unit: _Unit) -> None:
        if unit.handle is None:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(unit.index)
            unit.uuid = self._nvml.nvmlDeviceGetUUID(handle)
            unit.name = self._nvml.nvmlDeviceGetName(handle)
            unit.handle = handle

    def _read(self, unit: _Unit, table: Table) -> DeviceSample:
        memory = self._ask(self._nvml.nvmlDeviceGetMemoryInfo, unit)
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates, unit)
        known = memory is not None and memory.total > 0
        return DeviceSample(
            index=unit.index,
            uuid=unit.uuid,
            name=unit.name,
            total=memory.total if known else None,
            free=memory.free if known else None,
            utilization=None if rates is None else rates.gpu / 100,
            processes=self._processes(unit, table),
        )

    def _ask(self, function: Callable[[Any], Any], unit: _Unit, tries: int = _TRIES) -> Any:
        """Give the answer, or None where this GPU never gives one.

        A list that has outgrown the array made for it is read again.
        """
        try:
            return function(unit.handle)
        except self._nvml.NVMLError as error:
            if error.value in (_NOT_SUPPORTED, _NO_PERMISSION):
                return None
            if error.value == _INSUFFICIENT_SIZE and tries > 1:
                return self._ask(function, unit, tries - 1)
            raise

    def _processes(self, unit: _Unit, table: Table) -> tuple[ProcessSample, ...]:
        """Give each process once: who computes and draws is in both lists with one memory."""
        computing = self._listed(unit, "Compute")
        listed = self._listed(unit, "Graphics") | computing
        return tuple(
            holder(pid, table, memory=memory, compute=pid in computing)
            for pid, memory in listed.items()
        )

    def _listed(self, unit: _Unit, what: str) -> dict[int, int | None]:
        name = f"nvmlDeviceGet{what}RunningProcesses"
        try:
            found = self._ask(getattr(self._nvml, name), unit)
        except self._nvml.NVMLLibraryMismatchError:  # a driver from before the third version
            found = self._ask(getattr(self._nvml, f"{name}_v2"), unit)
        return {process.pid: process.usedGpuMemory for process in found or ()}
