"""Which devices a coordinator watches: what GPURUN_DEVICES says."""

import re

from gpurun.coordinator.gpus.devices import Devices
from gpurun.coordinator.gpus.nvml import NvmlDevices
from gpurun.coordinator.gpus.simulated import SimulatedDevices
from gpurun.protocol.quantity import parse_size

_SIMULATED = re.compile(r"sim:(?:([1-9]\d?)x)?([^x]+[a-z])")


def parse(text: str, simulation: str) -> Devices:
    """Read GPURUN_DEVICES: `nvml` (or empty), `sim:24GiB`, `sim:2x24GiB`.

    `simulation` is the file that keeps what simulated devices hold. Raise ValueError, in one
    line, for anything else.
    """
    if text in ("", "nvml"):
        return NvmlDevices()
    match = _SIMULATED.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(
            f"GPURUN_DEVICES={text!r} is not known; "
            "use nvml, or a simulated device like sim:24GiB or sim:2x24GiB"
        )
    try:
        return SimulatedDevices(int(match[1] or 1), parse_size(match[2]), simulation)
    except ValueError as error:
        raise ValueError(f"GPURUN_DEVICES={text!r}: {error}") from None


def same(one: str, other: str) -> bool:
    """Whether both name the same devices: `sim:24GiB` is `sim:1x24G`."""
    return _meaning(one) == _meaning(other)


def _meaning(text: str) -> object:
    match = _SIMULATED.fullmatch(text.strip().lower())
    if match is None:
        return text or "nvml"
    try:
        return int(match[1] or 1), parse_size(match[2])
    except ValueError:
        return text
