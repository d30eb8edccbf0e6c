"""One look at one device: what the driver says of it becomes a sample."""

from typing import Any

import msgspec

from gpurun.coordinator.core.sample import DeviceSample, ProcessSample
from gpurun.coordinator.gpus.answers import ask
from gpurun.coordinator.gpus.memory import Memory, read_memory
from gpurun.coordinator.gpus.residents import Residents
from gpurun.coordinator.gpus.units import Gpu, Unit

_UNIFIED = "it shares the system's memory: an eighth of that is left alone"
_NO_TIME = "its utilization cannot be measured: memory alone decides"
_NO_LIST = "the driver does not tell who uses it: all that is used counts as other programs'"
_SUSPECT = (
    "no process that the driver names is in /proc: their sizes are not believed; "
    "run the coordinator outside of the container, or with its --pid=host"
)
_SLEEPY = "persistence mode is off: a first program waits 1-3 s; nvidia-smi -pm 1 as root"


class Look(msgspec.Struct, frozen=True):
    """What all devices of one round have in common."""

    nvml: Any
    residents: Residents
    boot: float
    """CLOCK_BOOTTIME."""
    wall: float
    """The time of day, with which the driver stamps its samples."""

    def at(self, unit: Unit, gpu: Gpu, health: str, faults: tuple[int, ...]) -> DeviceSample:
        """Read a device that answers; raises NVMLError where it does not."""
        nvml = self.nvml
        memory = read_memory(nvml, unit.handle)
        readings = () if unit.mig else unit.ring.read(nvml, unit.handle, self.boot, self.wall)
        rates = None if unit.mig else ask(nvml, nvml.nvmlDeviceGetUtilizationRates, unit.handle)
        processes = self._processes(unit)
        return DeviceSample(
            index=unit.index,
            uuid=unit.uuid,
            name=unit.name,
            total=memory.total,
            free=memory.free,
            utilization=None if rates is None else min(rates.gpu, 100) / 100,
            readings=readings,
            processes=processes or (),
            processes_known=processes is not None,
            health=health,
            notes=_notes(unit, gpu, memory, timed=rates is not None, listed=processes is not None),
            peaks=unit.peaks.read(nvml, unit.handle, processes or ()) if gpu.accounts else (),
            faults=faults,
        )

    def _processes(self, unit: Unit) -> tuple[ProcessSample, ...] | None:
        listed = unit.lists.read(self.nvml, unit.handle)
        if listed is None:
            return None
        shares = None if unit.mig else unit.shares.read(self.nvml, unit.handle, self.boot)
        return tuple(
            self.residents.sample(
                pid,
                memory=one.memory,
                utilization=None if shares is None else shares.get(pid, 0.0),
                compute=one.compute,
            )
            for pid, one in listed.items()
        )


def lost(unit: Unit, text: str) -> DeviceSample:
    """Say of a device that does not answer why it takes no work."""
    return DeviceSample(
        index=unit.index,
        uuid=unit.uuid,
        name=unit.name,
        total=None,
        free=None,
        utilization=None,
        processes_known=False,
        health=text,
    )


def _notes(unit: Unit, gpu: Gpu, memory: Memory, *, timed: bool, listed: bool) -> tuple[str, ...]:
    notes = (
        (memory.unified, _UNIFIED),
        (not timed, _NO_TIME),
        (not listed, _NO_LIST),
        (unit.lists.suspect, _SUSPECT),
        (not gpu.persistent, _SLEEPY),
    )
    return tuple(text for holds, text in notes if holds)
