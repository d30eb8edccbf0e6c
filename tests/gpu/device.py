"""The device that the checks run on: an NVIDIA GPU, or the CPU in its place."""

from typing import Any, NamedTuple

from tests.e2e.machine import Machine


class Device(NamedTuple):
    """What differs between the two."""

    kind: str
    """As PyTorch calls it."""
    devices: str
    """GPURUN_DEVICES."""
    state: int
    """Bytes of a training's state on it."""
    slack: int
    """Bytes of it that need not be seen to leave: what the allocator cannot give back."""

    def used(self, machine: Machine) -> int:
        """Bytes in use by everybody: as NVML says, asked directly; as the simulation has it."""
        if self.kind == "cuda":
            return _used_by_nvml()
        memory: Any = machine.status()["devices"][0]["memory"]
        return int(memory["used"])


GPU = Device("cuda", "nvml", 1 << 30, 128 << 20)
STAND_IN = Device("cpu", "sim:24GiB", 3 << 20, 0)


def _used_by_nvml() -> int:
    import pynvml

    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
    finally:
        pynvml.nvmlShutdown()
