"""Whether the kernel may put the GPUs to sleep, as a laptop does to spare its battery.

An open NVML handle keeps such a GPU awake (Documentation/power/runtime_pm.rst): it is closed while
no job is known, and opened for the next one.
"""

import contextlib
import os

PCI, SUPPLIES = "/sys/bus/pci/devices", "/sys/class/power_supply"
_NVIDIA, _DISPLAY = "0x10de", "0x03"
"""Vendor, and the class of everything that can show something."""


def may_sleep(pci: str = PCI, supplies: str = SUPPLIES) -> bool:
    """Whether this machine has a battery and lets each of its NVIDIA GPUs suspend at run time."""
    if not any(name.startswith("BAT") for name in _names(supplies)):
        return False
    gpus = [f"{pci}/{name}" for name in _names(pci) if _is_gpu(f"{pci}/{name}")]
    return bool(gpus) and all(_suspends(gpu) for gpu in gpus)


def _suspends(gpu: str) -> bool:
    """Whether it sleeps, or may: `auto` in power/control; sysfs-devices-power."""
    return _read(f"{gpu}/power/runtime_status") == "suspended" or (
        _read(f"{gpu}/power/control") == "auto"
    )


def _is_gpu(device: str) -> bool:
    return _read(f"{device}/vendor") == _NVIDIA and _read(f"{device}/class").startswith(_DISPLAY)


def _names(folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
        return file.read().strip()
    return ""
