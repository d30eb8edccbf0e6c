"""XID events: what the driver says of a GPU when something has gone wrong on it.

Numbers: NVIDIA's XID catalogue. Those that an application brings upon itself are noted on its job;
any other sets the GPU aside.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

from gpurun.coordinator.gpus.answers import TIMEOUT

APPLICATION = frozenset({13, 31, 43, 45, 68, 109})
"""Faults of a program: it dies of them, and the GPU is as good as before."""
_EVENT = 8
"""nvmlEventTypeXidCriticalError."""
_MOST = 64
"""Events that one round takes; the rest wait for the next."""
_SHORTEST, _LONGEST = 1.0, 300.0
"""Seconds after a wait that failed: one that fails at once must not be asked for ever."""


class XidEvents:
    """The events of all GPUs, taken without waiting by the thread that makes every other call."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._names: dict[int | None, str] = {}
        """UUIDs, also of GPUs that are lost: their last event comes after them."""
        self._watched: set[str] = set()
        self._due, self._pause = float("-inf"), _SHORTEST
        try:
            self._set = nvml.nvmlEventSetCreate()
        except nvml.NVMLError:
            self._set = None

    def watch(self, uuid: str, handle: Any) -> None:
        """Hear of this GPU; one that tells no events is judged by its other answers."""
        if self._set is None or uuid in self._watched:
            return
        try:
            self._nvml.nvmlDeviceRegisterEvents(handle, _EVENT, self._set)
        except self._nvml.NVMLError:
            return
        self._names[_address(handle)] = uuid
        self._watched.add(uuid)

    def forget(self, uuid: str) -> None:
        """A GPU that was lost must be watched anew when it is found again."""
        self._watched.discard(uuid)

    def take(self, now: float) -> Iterator[tuple[str, int]]:
        """Give what has happened since: UUIDs of GPUs with XID numbers."""
        if not self._names or now < self._due:
            return
        try:
            for _ in range(_MOST):
                event = self._nvml.nvmlEventSetWait(self._set, 0)
                self._pause = _SHORTEST
                yield self._names.get(_address(event.device), ""), event.eventData
        except self._nvml.NVMLError as error:
            if error.value != TIMEOUT:
                self._due = now + self._pause
                self._pause = min(self._pause * 2, _LONGEST)


def xid_text(number: int) -> str:
    """Why the GPU takes no work, and what to do."""
    return (
        f"the driver reported XID {number}; see dmesg, reset it with nvidia-smi --gpu-reset or "
        "restart the machine, then gpurun coordinator stop"
    )


def _address(handle: Any) -> int | None:
    """The driver's own pointer, by which an event names its GPU."""
    return ctypes.cast(handle, ctypes.c_void_p).value
