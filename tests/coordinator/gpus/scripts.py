"""What the scripted driver plays, and codes of nvmlReturn_t (nvml.h) that it answers with."""

GIB = 1 << 30
FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
SUCCESS, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 0, 3, 4, 6
LOST, RESET_REQUIRED, MISMATCH, UNKNOWN = 15, 16, 18, 999


def gpu(uuid: str, *lines: str, used: int = 0, total: int = 24, kind: str = "gpu") -> str:
    """A device of which so many GiB are used, with further lines about it."""
    left = (total - used) * GIB
    memory = f"memory {total * GIB} {left} {used * GIB}"
    return "\n".join((f"{kind} {uuid} Test", memory, *lines, ""))


def mig(uuid: str, *lines: str, used: int = 0, total: int = 10) -> str:
    """A MIG device of the GPU before it."""
    return gpu(uuid, *lines, used=used, total=total, kind="mig")
