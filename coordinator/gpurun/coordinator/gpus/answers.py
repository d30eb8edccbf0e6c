"""What NVML answers when it gives no value, and what a person can do about it.

Codes of nvmlReturn_t (nvml.h), named here because pynvml is loaded only where a driver is asked.
Its errors are told apart by `value`: they can be neither hashed nor compared with anything else.
"""

from collections.abc import Callable
from typing import Any

NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, INSUFFICIENT_SIZE = 3, 4, 6, 7
DRIVER_NOT_LOADED, TIMEOUT, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND = 9, 10, 12, 13
GPU_IS_LOST, RESET_REQUIRED, VERSION_MISMATCH = 15, 16, 18

_SILENT = (NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND)
"""Answers that say of this device, for this user and driver: it is never told."""
_TRIES = 3
"""Reads of a list that outgrows its array each time."""

_OPENING = {
    NO_PERMISSION: "the NVIDIA driver gives this user no access ({}); "
    "ask for access to /dev/nvidia*, or put the coordinator where it has it",
    VERSION_MISMATCH: "the NVIDIA driver was updated and the kernel still runs the old one ({}); "
    "restart the machine, or reload the nvidia kernel modules",
} | dict.fromkeys(
    (DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND),
    "no NVIDIA driver found ({}); install the driver, or try a simulated device: "
    "GPURUN_DEVICES=sim:24GiB gpurun …",
)
_READING = {
    GPU_IS_LOST: "it has fallen off the bus ({}); restart the machine",
    RESET_REQUIRED: "it must be reset ({}); nvidia-smi --gpu-reset, or restart the machine",
}


def why_closed(error: Any) -> str:
    """Say why the driver cannot be opened, and the cure."""
    return _OPENING.get(
        error.value, "the NVIDIA driver does not answer ({}); see what nvidia-smi says"
    ).format(error)


def why_unread(error: Any) -> str:
    """Say why one device cannot be read, and the cure."""
    return _READING.get(
        error.value, "the driver cannot read it ({}); see what nvidia-smi says"
    ).format(error)


def ask(nvml: Any, function: Callable[..., Any], *arguments: Any, tries: int = _TRIES) -> Any:
    """Give the answer, or None where this device never gives one.

    A list that has outgrown the array made for it is read again.
    """
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        if error.value in _SILENT:
            return None
        if error.value == INSUFFICIENT_SIZE and tries > 1:
            return ask(nvml, function, *arguments, tries=tries - 1)
        raise
