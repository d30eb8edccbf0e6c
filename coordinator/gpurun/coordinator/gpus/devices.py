"""What the coordinator asks of devices, whether the driver's own or simulated ones."""

from collections.abc import Sequence
from typing import Protocol

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess


class DevicesError(Exception):
    """No device can be read; the text is one line for people that says what to do."""


class Devices(Protocol):
    """The devices of this machine. One thread opens, samples and closes them."""

    about: str
    """What they are read with, in words; empty while it is not known."""

    sleepy: bool
    """Whether being open keeps awake what could sleep while there is no job."""

    def open(self) -> None:
        """Make them ready to be sampled; raise DevicesError where that cannot be."""

    def sample(self, own: Sequence[OwnProcess]) -> tuple[DeviceSample, ...]:
        """Look at each once; raise DevicesError where none answers.

        Devices that cannot be read are among them, with a `health` that says why.
        """

    def close(self) -> None:
        """Give back what `open` took; closing twice is nothing."""
