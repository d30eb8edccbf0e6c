"""Memory as PyTorch's allocators and the kernel tell of it."""

import contextlib
import gc
from collections.abc import Iterator

import torch

KIND = "cuda"
"""The type of the devices whose memory a parked training gives back."""
SPARE = 512 << 20
"""Bytes of host memory that parking leaves to everybody else."""
GARBAGE = 64 << 20
"""Bytes in use behind a release from which it is worth looking for garbage that holds some."""
_PORTABLE = 1
"""cudaHostRegisterPortable: pinned for each device of the process."""


def settle() -> None:
    """Wait until the devices have done what they were told to."""
    if torch.cuda.is_initialized():
        for device in _devices():
            torch.cuda.synchronize(device)


def release() -> int:
    """Give cached memory back to the devices; return bytes still held on that with most."""
    if not torch.cuda.is_initialized():
        return 0
    if any(torch.cuda.memory_allocated(device) > GARBAGE for device in _devices()):
        gc.collect()  # an old traceback, say, in a cycle with its frames
    torch.cuda.empty_cache()
    return max((torch.cuda.memory_reserved(device) for device in _devices()), default=0)


def has_graphs() -> bool:
    """Whether a CUDA graph has been captured, which knows memory by its address.

    Graphs, torch.compile's among them, allocate from a pool of their own; so does what a script
    has lent to a network card in a MemPool. Each segment names its pool.
    """
    if not torch.cuda.is_initialized() or not _has_other_pools():
        return False
    torch.cuda.empty_cache()  # takes those of graphs that are gone, and of no other
    return _has_other_pools()


def pin(address: int, size: int) -> str:
    """Lock host memory in place, so that the devices copy by themselves; return why not, or "".

    As torch.cuda._pin_memory_utils does. Memory from PyTorch's own pinning allocator would be
    rounded up to a power of two, up to twice of what is needed.
    """
    if not torch.cuda.is_initialized():
        return ""
    code = int(torch.cuda.cudart().cudaHostRegister(address, size, _PORTABLE))
    if code:
        _forget_error()
        return f"CUDA error {code}"
    return ""


def unpin(address: int) -> None:
    """Let go of what was pinned."""
    if torch.cuda.is_initialized():
        torch.cuda.cudart().cudaHostUnregister(address)


def host_free() -> int:
    """Bytes of host memory that can be had: of the machine, and of the control groups it is in.

    Sources: MemAvailable, proc_meminfo(5); memory.max and memory.current, the kernel's cgroup-v2.
    """
    with open("/proc/meminfo", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
    return max(0, min([int(line.split()[1]) * 1024, *_left_in_groups()]) - SPARE)


def _devices() -> list[int]:
    """Those that this process uses: to ask another would make a context there, of some 0.4 GB.

    Source: torch/csrc/cuda/Module.cpp, which has no public name for it.
    """
    uses = getattr(torch._C, "_cuda_hasPrimaryContext", lambda _: True)
    return [device for device in range(torch.cuda.device_count()) if uses(device)]


def _has_other_pools() -> bool:
    segments = torch.cuda.memory_snapshot()
    return any(tuple(segment["segment_pool_id"]) != (0, 0) for segment in segments)


def _forget_error() -> None:
    """CUDA keeps its last error for the next who asks: let that be us, not the training."""
    with contextlib.suppress(RuntimeError):
        torch.zeros(1, device="cuda").add_(1)


def _left_in_groups() -> Iterator[int]:
    for group in _groups():
        with contextlib.suppress(OSError, ValueError):
            # Without a limit memory.max is a word.
            yield _number(f"{group}/memory.max") - _number(f"{group}/memory.current")


def _groups() -> Iterator[str]:
    """The folders of this process's control group and of all above it."""
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8") as file:
        path = next((line[3:].strip() for line in file if line.startswith("0::")), "/")
        while path.strip("/"):
            yield f"/sys/fs/cgroup{path}"
            path = path.rpartition("/")[0]


def _number(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())
