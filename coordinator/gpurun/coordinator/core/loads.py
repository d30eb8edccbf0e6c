"""The load of every device, as the present state has it."""

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.ledger import Load, load_of
from gpurun.coordinator.core.state import State

STALE_AFTER = 3.0
"""Sampling intervals after which a sample admits nothing."""


def loads_of(state: State) -> dict[str, Load]:
    """What every device is charged with now, by UUID, in the order of their numbers."""
    holders = state.holders()
    devices = sorted(state.devices.values(), key=lambda device: device.sample.index)
    limits = state.settings.limits
    return {
        (uuid := device.sample.uuid): load_of(device, holders[uuid], _stale(state, device), limits)
        for device in devices
    }


def _stale(state: State, device: Device) -> bool:
    age = state.now.boot - device.taken
    return age > STALE_AFTER * state.settings.monitor.interval
