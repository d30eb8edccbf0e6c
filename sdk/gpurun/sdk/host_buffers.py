"""The host memory that a training's pauses share: taken at the first, kept, and used again.

Pinned memory makes the difference between 24 and 2 GiB/s, and pinning costs as much as several
copies. Slabs from the kernel hold many storages each, so that nothing is rounded up; a forked
loader worker gets none of it, whose copy-on-write would part the pages from those that are pinned.
"""

import mmap
import weakref
from collections.abc import Callable

import torch

from gpurun.sdk import device_memory
from gpurun.sdk.errors import NoRoomError
from gpurun.sdk.say import say

ALIGNMENT = 64
"""Bytes; a buffer begins at a multiple of it."""
SLAB = 16 << 20
"""Bytes of the smallest slab that is taken for what nobody announced."""
CHECKED = 1 << 20
"""Bytes of a copy for which it is worth asking the kernel whether there is room."""


class HostBuffers:
    """What was taken in one pause is free again in the next: nobody may read it any more then."""

    def __init__(self) -> None:
        self._slabs: list[_Slab] = []

    def begin(self) -> None:
        """A new pause: all buffers are free."""
        for slab in self._slabs:
            slab.used = 0

    def reserve(self, sizes: list[int]) -> None:
        """Have room for buffers of so many bytes; raise NoRoomError where memory is too short."""
        total = sum(_aligned(size) for size in sizes)
        missing = total - sum(slab.size - slab.used for slab in self._slabs)
        if missing > 0:
            self._grow(missing)

    def take(self, size: int) -> torch.UntypedStorage:
        """A buffer of so many bytes; raise NoRoomError where memory is too short."""
        wanted = _aligned(size)
        for slab in self._slabs:
            if slab.size - slab.used >= wanted:
                return slab.take(size)
        return self._grow(max(wanted, SLAB)).take(size)

    def apart(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy of a tensor in memory of its own; raise NoRoomError where that is too short."""
        if tensor.nbytes >= CHECKED:
            _require(tensor.nbytes)
        return tensor.clone() if tensor.device.type == "cpu" else tensor.cpu()

    def close(self) -> None:
        """Give it all back; it stays readable as long as somebody has a buffer of it."""
        for slab in self._slabs:
            slab.unpin()
        self._slabs.clear()

    def _grow(self, size: int) -> "_Slab":
        _require(size)
        self._slabs.append(_Slab(size))
        return self._slabs[-1]


class _Slab:
    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        """Bytes taken in this pause, from the beginning."""
        self.unpin: Callable[[], object] = _nothing
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory.madvise(mmap.MADV_DONTFORK)
        address = torch.frombuffer(self._memory, dtype=torch.uint8).data_ptr()
        if why := device_memory.pin(address, size):
            say(f"parking through memory that could not be pinned, which is slower: {why}")
            return
        # Also where nobody closes: the driver must not take the next memory at this place for it.
        self.unpin = finalizer = weakref.finalize(self, device_memory.unpin, address)
        finalizer.atexit = False

    def take(self, size: int) -> torch.UntypedStorage:
        at = self.used
        self.used += _aligned(size)
        taken = torch.frombuffer(self._memory, dtype=torch.uint8, count=size, offset=at)
        return taken.untyped_storage()


def _nothing() -> None:
    """What is not pinned needs no letting go."""


def _require(size: int) -> None:
    if size > (free := device_memory.host_free()):
        raise NoRoomError(f"parking needs {size} more bytes of host memory and {free} are free")


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
