"""The GPUs of this machine, and the MIG devices into which a GPU may be divided."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gpurun.coordinator.gpus.accounting import Peaks
from gpurun.coordinator.gpus.answers import NOT_FOUND, ask
from gpurun.coordinator.gpus.lists import Lists
from gpurun.coordinator.gpus.utilization import Ring, Shares

MOST_PARTS = 7
"""MIG devices of one GPU: NVIDIA divides none further."""


class Unit(msgspec.Struct):
    """What takes work: a whole GPU, or a MIG device. What was learned of it outlives its loss."""

    index: int
    uuid: str
    name: str = "unknown"
    handle: Any = None
    mig: bool = False
    ring: Ring = msgspec.field(default_factory=Ring)
    shares: Shares = msgspec.field(default_factory=Shares)
    lists: Lists = msgspec.field(default_factory=Lists)
    peaks: Peaks = msgspec.field(default_factory=Peaks)


class Gpu(msgspec.Struct):
    """One GPU as the driver numbers it, from 0."""

    index: int
    of: int
    """How many there are."""
    units: list[Unit]
    uuid: str = ""
    handle: Any = None
    lost: str = ""
    """Why it cannot be read; empty while it answers."""
    slowed: str = ""
    """Why no new load should come; empty where there is no reason."""
    persistent: bool = True
    accounts: bool = False
    """Whether the driver keeps account of the peaks of processes."""


def gpus(count: int) -> list[Gpu]:
    """All of them, before the first is asked anything; the place holders name nobody."""
    return [Gpu(index, count, [Unit(index, f"GPU-unknown-{index}")]) for index in range(count)]


def identify(nvml: Any, gpu: Gpu) -> None:
    """Find its handle, and into what it is divided at present."""
    handle = nvml.nvmlDeviceGetHandleByIndex(gpu.index)
    gpu.uuid = nvml.nvmlDeviceGetUUID(handle)
    mode = ask(nvml, nvml.nvmlDeviceGetMigMode, handle)
    known = {unit.uuid: unit for unit in gpu.units}
    found = _parts(nvml, gpu, handle) if mode and mode[0] else [_whole(nvml, gpu, handle)]
    gpu.units = [_remembered(known, unit) for unit in found]
    gpu.handle, gpu.lost = handle, ""


def _remembered(known: dict[str, Unit], unit: Unit) -> Unit:
    before = known.get(unit.uuid)
    if before is None:
        return unit
    before.handle, before.index, before.name = unit.handle, unit.index, unit.name
    return before


def _whole(nvml: Any, gpu: Gpu, handle: Any) -> Unit:
    return Unit(gpu.index, gpu.uuid, nvml.nvmlDeviceGetName(handle), handle)


def _parts(nvml: Any, gpu: Gpu, handle: Any) -> list[Unit]:
    """MIG devices are numbered behind the GPUs, which keep the numbers that nvidia-smi shows."""
    first = gpu.of + MOST_PARTS * gpu.index
    return [
        Unit(
            first + place,
            nvml.nvmlDeviceGetUUID(part),
            nvml.nvmlDeviceGetName(part),
            part,
            mig=True,
        )
        for place, part in enumerate(_handles(nvml, handle))
    ]


def _handles(nvml: Any, handle: Any) -> Iterator[Any]:
    for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
        except nvml.NVMLError as error:
            if error.value != NOT_FOUND:
                raise
