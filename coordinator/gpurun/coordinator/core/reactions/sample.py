"""Sample: what the monitor saw becomes what the scheduler counts on."""

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.reactions.release import see_gone
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.coordinator.core.state import State


def on_sample(state: State, event: SampleEvent) -> None:
    """Take the samples in; release what they show to be gone."""
    state.problem = event.problem
    for sample in event.devices:
        _look(state, sample, event.taken)
    see_gone(state)
    if state.jobs.queued:
        state.pass_wanted = True


def _look(state: State, sample: DeviceSample, taken: float) -> None:
    device = state.devices.get(sample.uuid)
    if device is None:
        state.devices[sample.uuid] = device = Device(sample, taken)
    else:
        device.look(sample, taken, state.settings.monitor.window)
    for job in device.jobs():
        size = device.observed(job)
        if size is not None and job in state.jobs:
            state.peaks[job] = max(size, state.peaks.get(job, 0))
