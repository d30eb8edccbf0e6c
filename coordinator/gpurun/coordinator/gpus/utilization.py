"""How much of the time a device computes: the driver's own samples, and each process's share.

`utilization.gpu` is a duty cycle, the share of the last 1/6 to 1 second in which any kernel ran
(nvml.h, nvmlUtilization_t). The driver keeps a ring of such samples; to read it costs less than to
ask more often. What it says of processes is advice: only those with some use are listed.
"""

from typing import Any

from gpurun.coordinator.core.sample import Reading
from gpurun.coordinator.gpus.answers import NOT_FOUND, ask

_KIND = 1
"""NVML_GPU_UTILIZATION_SAMPLES."""
_OLDEST = 60.0
"""Seconds; what is older was stamped with another clock, or says nothing of now."""
_ADVICE_KEPT = 10.0
"""Seconds for which the share of a process stands when the driver has nothing new to say."""
_SUCCESS = 0


class Ring:
    """The driver's samples of one device; each is read once."""

    def __init__(self) -> None:
        self._last = 0
        self._supported = True

    def read(self, nvml: Any, handle: Any, boot: float, wall: float) -> tuple[Reading, ...]:
        """Give what is new, oldest first; the driver stamps with the time of day, in µs."""
        samples = self._new(nvml, handle) if self._supported else ()
        self._last = max((sample.timeStamp for sample in samples), default=self._last)
        readings = (
            Reading(boot - max(0.0, wall - sample.timeStamp / 1e6), sample.sampleValue.uiVal / 100)
            for sample in samples
            if sample.sampleValue.uiVal <= 100
        )
        return tuple(reading for reading in readings if reading.taken >= boot - _OLDEST)

    def _new(self, nvml: Any, handle: Any) -> Any:
        try:
            found = ask(nvml, nvml.nvmlDeviceGetSamples, handle, _KIND, self._last)
        except nvml.NVMLError as error:
            if error.value == NOT_FOUND:
                return ()
            raise
        self._supported = found is not None
        return found[1] if found else ()


class Shares:
    """The share of time of each process of one device, as last heard."""

    def __init__(self) -> None:
        self._last = 0
        self._heard = float("-inf")
        self._shares: dict[int, float] = {}
        self._supported = True

    def read(self, nvml: Any, handle: Any, boot: float) -> dict[int, float] | None:
        """Give the shares of those that had any; None where nothing is known of anybody."""
        samples = self._new(nvml, handle) if self._supported else ()
        if samples:
            self._heard = boot
            self._last = max(sample.timeStamp for sample in samples)
            ordered = sorted(samples, key=lambda sample: int(sample.timeStamp))
            self._shares = {
                sample.pid: sample.smUtil / 100 for sample in ordered if sample.smUtil <= 100
            }
        return self._shares if boot - self._heard <= _ADVICE_KEPT else None

    def _new(self, nvml: Any, handle: Any) -> Any:
        """Where the driver's list is empty pynvml raises NVMLError(0)."""
        try:
            found = ask(nvml, nvml.nvmlDeviceGetProcessUtilization, handle, self._last)
        except nvml.NVMLError as error:
            if error.value in (NOT_FOUND, _SUCCESS):
                return ()
            raise
        self._supported = found is not None
        return found or ()
