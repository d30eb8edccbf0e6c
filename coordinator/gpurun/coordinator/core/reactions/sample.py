"""Sample: what the monitor saw becomes what the scheduler counts on."""

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.observing import observe
from gpurun.coordinator.core.reactions.release import see_gone
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.coordinator.core.shrinking import shrink
from gpurun.coordinator.core.state import State


def on_sample(state: State, event: SampleEvent) -> None:
    """Take the samples in; release what they show to be gone."""
    state.problem = event.problem
    for sample in event.devices:
        _look(state, sample, event.taken)
    observe(state, [state.devices[sample.uuid] for sample in event.devices])
    shrink(state)
    see_gone(state)
    if state.jobs.queued:
        state.pass_wanted = True


def _look(state: State, sample: DeviceSample, taken: float) -> None:
    device = state.devices.get(sample.uuid)
    if device is None:
        state.devices[sample.uuid] = device = Device(sample, taken)
    else:
        device.look(sample, taken, state.settings.monitor.window)
