"""What the coordinator asks of devices, whether the driver's own or simulated ones."""

import re
from collections.abc import Sequence
from typing import Protocol

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess
from gpurun.protocol.quantity import parse_size

_SIMULATED = re.compile(r"sim:(?:([1-9]\d?)x)?([^x]+[a-z])")


class DevicesError(Exception):
    """No device can be read; the text is one line for people that says what to do."""


class Devices(Protocol):
    """The devices of this machine. One thread opens, samples and closes them."""

    kind: str
    """`nvml` or `sim`."""

    def open(self) -> None:
        """Make them ready to be sampled; raise DevicesError where that cannot be."""

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        """Look at each once; raise DevicesError where none answers.

        Devices that cannot be read are among them, with a `health` that says why.
        """

    def close(self) -> None:
        """Give back what `open` took; closing twice is nothing."""


def parse(text: str, simulation: str) -> Devices:
    """Read GPURUN_DEVICES: `nvml` (or empty), `sim:24GiB`, `sim:2x24GiB`.

    `simulation` is the file that keeps what simulated devices hold. Raise ValueError, in one
    line, for anything else.
    """
    if text in ("", "nvml"):
        from gpurun.coordinator.gpus.nvml import NvmlDevices

        return NvmlDevices()
    match = _SIMULATED.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(
            f"GPURUN_DEVICES={text!r} is not known; "
            "use nvml, or a simulated device like sim:24GiB or sim:2x24GiB"
        )
    from gpurun.coordinator.gpus.simulated import SimulatedDevices

    try:
        return SimulatedDevices(int(match[1] or 1), parse_size(match[2]), simulation)
    except ValueError as error:
        raise ValueError(f"GPURUN_DEVICES={text!r}: {error}") from None
