"""Memory as PyTorch's allocators and the kernel tell of it."""

import torch

KIND = "cuda"
"""The type of the devices whose memory a parked training gives back."""


def settle() -> None:
    """Wait until the devices have done what they were told to."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def release() -> int:
    """Give cached memory back to the devices; return bytes still held on that with most."""
    if not torch.cuda.is_initialized():
        return 0
    torch.cuda.empty_cache()
    devices = range(torch.cuda.device_count())
    return max((torch.cuda.memory_reserved(device) for device in devices), default=0)


def host_free() -> int:
    """Bytes of host memory that can be had without swapping (MemAvailable, proc_meminfo(5))."""
    with open("/proc/meminfo", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024
