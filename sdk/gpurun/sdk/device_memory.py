"""Memory as PyTorch's allocators and the kernel tell of it."""

import contextlib
from collections.abc import Iterator

import torch

KIND = "cuda"
"""The type of the devices whose memory a parked training gives back."""
SPARE = 512 << 20
"""Bytes of host memory that parking leaves to everybody else."""


def settle() -> None:
    """Wait until the devices have done what they were told to."""
    if torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)


def release() -> int:
    """Give cached memory back to the devices; return bytes still held on that with most."""
    if not torch.cuda.is_initialized():
        return 0
    torch.cuda.empty_cache()
    devices = range(torch.cuda.device_count())
    return max((torch.cuda.memory_reserved(device) for device in devices), default=0)


def host_free() -> int:
    """Bytes of host memory that can be had: of the machine, and of the control groups it is in.

    Sources: MemAvailable, proc_meminfo(5); memory.max and memory.current, the kernel's cgroup-v2.
    """
    with open("/proc/meminfo", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
    return max(0, min([int(line.split()[1]) * 1024, *_left_in_groups()]) - SPARE)


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
