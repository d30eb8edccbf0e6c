"""Whether a GPU is slowed down so that it should not be given more to do."""

from typing import Any

from gpurun.coordinator.gpus.answers import ask

_IDLE = 0x1
_SLOWDOWNS = {
    0x08: "a hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "a power brake",
}
"""Bits of nvmlClocksEventReason (nvml.h); a power cap is how GPUs run, and no trouble."""


def throttle_text(nvml: Any, handle: Any) -> str:
    """Say why no new load should come; empty where there is no reason, or it is not told."""
    reasons = ask(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    if reasons is None:  # the name of the same call before driver 535
        reasons = ask(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle) or 0
    named = [name for bit, name in _SLOWDOWNS.items() if reasons & bit]
    if not named or reasons & _IDLE:
        return ""
    return f"its clocks are slowed by {' and '.join(named)}; see to its cooling and power"
