"""The NVIDIA driver's own word, through NVML and its Python binding, nvidia-ml-py.

NVML is opened once and stays open: opening and closing it is what costs. One thread makes every
call, so that it is never closed under another's. In each round: memory, samples and processes; what
changes slowly, every few seconds.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from gpurun.coordinator.core.sample import HEALTHY, DeviceSample, OwnProcess
from gpurun.coordinator.gpus import accounting
from gpurun.coordinator.gpus.answers import ask, why_closed, why_unread
from gpurun.coordinator.gpus.devices import DevicesError
from gpurun.coordinator.gpus.library import Library
from gpurun.coordinator.gpus.look import Look, lost
from gpurun.coordinator.gpus.power import may_sleep
from gpurun.coordinator.gpus.residents import Residents
from gpurun.coordinator.gpus.throttle import throttle_text
from gpurun.coordinator.gpus.units import Gpu, gpus, identify
from gpurun.coordinator.gpus.xid import APPLICATION, XidEvents, xid_text

_SLOWLY = 5.0
"""Seconds between two looks at what changes slowly: clocks, and into what a GPU is divided."""


class NvmlDevices:
    """The GPUs of this machine."""

    def __init__(self) -> None:
        self.about = ""
        self.sleepy = may_sleep()
        self._nvml: Any = None
        self._gpus: list[Gpu] = []
        self._library: Any = None
        self._events: Any = None
        self._broken: dict[str, str] = {}
        """Why GPUs are set aside until they have been seen to, by UUID; closing forgets none."""
        self._residents = Residents()
        self._slowly_due = float("-inf")

    def open(self) -> None:
        """Load the driver's library and count its GPUs; raise DevicesError with the cure."""
        import pynvml

        try:
            pynvml.nvmlInit()
            self._nvml = pynvml
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            self.close()
            raise DevicesError(why_closed(error)) from None
        if count == 0:
            self.close()
            raise DevicesError("the NVIDIA driver lists no GPU; see what nvidia-smi says")
        version = ask(pynvml, pynvml.nvmlSystemGetDriverVersion) or "of unknown version"
        self.about = f"NVIDIA driver {version}, read through NVML"
        self._gpus = gpus(count)
        self._events = XidEvents(pynvml)
        self._library = self._library or Library()

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        """Look at each device once; one that is lost says so, and the others go on."""
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._residents.begin(own)
        slowly = boot >= self._slowly_due
        if slowly:
            self._slowly_due = boot + _SLOWLY
        for gpu in self._gpus:
            self._find(gpu, slowly=slowly)
        faults = self._hear(boot)
        look = Look(self._nvml, self._residents, boot, time.time())
        found = [
            s for gpu in self._gpus for s in self._samples(gpu, look, faults.get(gpu.uuid, ()))
        ]
        update = self._library.update()
        return tuple(
            msgspec.structs.replace(one, health=update) if update else one for one in found
        )

    def close(self) -> None:
        """Leave NVML, on the thread that used it: a call that is under way would crash."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
        self._residents.close()
        self._nvml, self._gpus, self._events = None, [], None
        self._slowly_due = float("-inf")

    def _find(self, gpu: Gpu, *, slowly: bool) -> None:
        """Find a GPU that has no handle yet or any more; see what changes slowly."""
        nvml = self._nvml
        try:
            if gpu.handle is None or slowly:
                identify(nvml, gpu)
                gpu.slowed = throttle_text(nvml, gpu.handle)
                gpu.persistent = ask(nvml, nvml.nvmlDeviceGetPersistenceMode, gpu.handle) != 0
                gpu.accounts = accounting.is_on(nvml, gpu.handle)
                self._events.watch(gpu.uuid, gpu.handle)
        except nvml.NVMLError as error:
            self._lose(gpu, error)

    def _hear(self, boot: float) -> dict[str, tuple[int, ...]]:
        """Take the XID events: set aside what is broken; give what programs did, by GPU."""
        faults: dict[str, tuple[int, ...]] = {}
        for uuid, number in self._events.take(boot):
            if number in APPLICATION:
                faults[uuid] = (*faults.get(uuid, ()), number)
            else:
                self._broken[uuid] = xid_text(number)
        return faults

    def _samples(self, gpu: Gpu, look: Look, faults: tuple[int, ...]) -> list[DeviceSample]:
        try:
            if not gpu.lost:
                health = self._broken.get(gpu.uuid) or gpu.slowed or HEALTHY
                return [look.at(unit, gpu, health, faults) for unit in gpu.units]
        except self._nvml.NVMLError as error:
            self._lose(gpu, error)
        return [lost(unit, gpu.lost) for unit in gpu.units]

    def _lose(self, gpu: Gpu, error: Any) -> None:
        """It is asked anew in the next round; until it answers it takes no work."""
        gpu.handle, gpu.lost = None, why_unread(error)
        self._events.forget(gpu.uuid)
