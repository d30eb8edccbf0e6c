"""The load of every device, as the present state has it."""

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.core.ledger import Load, load_of
from gpurun.coordinator.core.state import State

STALE_AFTER = 3.0
"""Sampling intervals after which a sample admits nothing."""


def loads_of(state: State) -> dict[str, Load]:
    """What every device is charged with now, by UUID, in the order of their numbers."""
    holders = state.holders()
    devices = sorted(state.devices.items(), key=lambda item: item[1].sample.index)
    return {uuid: _load(state, device, holders[uuid]).copy() for uuid, device in devices}


def _load(state: State, device: Device, jobs: list[Job]) -> Load:
    """The load of one device; that of the last time while all that it follows from is the same."""
    stale, limits = _stale(state, device), state.settings.limits
    given = device.sample, device.window, device.foreign_share, jobs, stale, limits
    before, load = state.loads.get(device.sample.uuid, (None, None))
    if load is None or before != given:
        load = load_of(device, jobs, stale, limits)
        state.loads[device.sample.uuid] = given, load
    return load


def _stale(state: State, device: Device) -> bool:
    age = state.now.boot - device.taken
    return age > STALE_AFTER * state.settings.monitor.interval
