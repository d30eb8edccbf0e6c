"""Which devices a coordinator watches: what GPURUN_DEVICES says."""

import re

from gpurun.coordinator.gpus.devices import Devices
from gpurun.coordinator.gpus.nvml import NvmlDevices
from gpurun.coordinator.gpus.simulated import SimulatedDevices
from gpurun.protocol.quantity import parse_size

_SIMULATED = re.compile(r"sim:(?:([1-9]\d?)x)?([^x]+[a-z])")


def parse(text: str, simulation: str) -> Devices:
    """The devices that GPURUN_DEVICES names; raise ValueError as `read` does.

    `simulation` is the file that keeps what simulated devices hold.
    """
    simulated = read(text)
    return SimulatedDevices(*simulated, simulation) if simulated else NvmlDevices()


def read(text: str) -> tuple[int, int] | None:
    """How many simulated devices, and bytes of each: `sim:24GiB`, `sim:2x24GiB`.

    None for real ones: `nvml`, or nothing. Raise ValueError, in one line, for anything else.
    """
    if text in ("", "nvml"):
        return None
    match = _SIMULATED.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(
            f"GPURUN_DEVICES={text!r} is not known; "
            "use nvml, or a simulated device like sim:24GiB or sim:2x24GiB"
        )
    try:
        return int(match[1] or 1), parse_size(match[2])
    except ValueError as error:
        raise ValueError(
            f"GPURUN_DEVICES={text!r}: {error}; use nvml, or a simulated device like sim:24GiB"
        ) from None
