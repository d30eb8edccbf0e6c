"""How much memory a device has, and how much of that is free.

Room is the driver's own `free` of the first version: its `used` includes what the driver keeps,
the second version's does not, and mixing them makes room that is not there.
"""

from typing import Any

import msgspec

from gpurun.coordinator.gpus.answers import NO_PERMISSION, NOT_SUPPORTED

MEMINFO = "/proc/meminfo"
_RESERVE = 8
"""An eighth of a memory that the whole system shares stays out of what is offered."""


class Memory(msgspec.Struct, frozen=True):
    """Bytes; None is unknown."""

    total: int | None
    free: int | None
    unified: bool = False
    """Whether it is the system's own memory."""


def read_memory(nvml: Any, handle: Any) -> Memory:
    """Ask the driver; exactly NOT_SUPPORTED or a total of 0 means that memory is the system's.

    So answer GB10 and Jetson. Any other silence leaves it unknown.
    """
    try:
        found = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError as error:
        if error.value == NOT_SUPPORTED:
            return _unified()
        if error.value == NO_PERMISSION:
            return Memory(None, None)
        raise
    return Memory(found.total, found.free) if found.total else _unified()


def _unified() -> Memory:
    """MemAvailable, which counts what the kernel would give back, less a reserve."""
    sizes = _meminfo()
    total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
    if total is None or available is None:
        return Memory(None, None)
    return Memory(total, max(0, available - total // _RESERVE), unified=True)


def _meminfo() -> dict[str, int]:
    with open(MEMINFO, encoding="ascii") as file:
        lines = [line.split() for line in file]
    return {words[0].removesuffix(":"): int(words[1]) * 1024 for words in lines}
