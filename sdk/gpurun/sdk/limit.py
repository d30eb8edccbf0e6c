"""`[limits] enforce`: PyTorch's allocator fails before it takes more than the job reserved."""

import sys

CONTEXT = 512 << 20
"""Bytes of a device that a process takes beside the allocator, mostly the CUDA context.

0.3 to 0.7 GB by the version and the kernels that are loaded.
"""


def hold_to(limit: int) -> None:
    """Hold this process to so many bytes on each device that it sees.

    The allocator alone is held; the context and NCCL's buffers are not, so the former is taken off
    beforehand. Without a limit (0), PyTorch or a device there is nothing to hold.
    """
    torch = sys.modules.get("torch")
    if not limit or torch is None or not torch.cuda.is_available():
        return
    for device in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(share(limit, total), device)


def share(limit: int, total: int) -> float:
    """What `set_per_process_memory_fraction` is told: (reservation - context) / total."""
    return min(1.0, max(0.0, (limit - CONTEXT) / total))
