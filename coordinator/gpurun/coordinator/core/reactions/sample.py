"""Sample: what the monitor saw becomes what the scheduler counts on."""

from collections.abc import Set

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.events import SampleEvent
from gpurun.coordinator.core.observing import observe
from gpurun.coordinator.core.reactions.park import see_parked
from gpurun.coordinator.core.reactions.release import see_gone
from gpurun.coordinator.core.sample import DeviceSample
from gpurun.coordinator.core.shrinking import shrink
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Note


def on_sample(state: State, event: SampleEvent) -> None:
    """Take the samples in; release what they show to be gone."""
    state.problem = event.problem
    for sample in event.devices:
        _look(state, sample, event.taken)
    _forget_renamed(state, event)
    observe(state, [state.devices[sample.uuid] for sample in event.devices])
    shrink(state)
    see_gone(state)
    see_parked(state)
    if state.jobs.queued:
        state.pass_wanted = True


def _forget_renamed(state: State, event: SampleEvent) -> None:
    """A number names one device: who had it before is not there any more.

    Such as the place holder of a GPU that was lost when the driver was opened.
    """
    names = {sample.index: sample.uuid for sample in event.devices}
    seen = frozenset(names.values())
    for uuid, device in list(state.devices.items()):
        if uuid not in seen and device.sample.index in names:
            del state.devices[uuid]


def _look(state: State, sample: DeviceSample, taken: float) -> None:
    device = state.devices.get(sample.uuid)
    before: Set[int] = frozenset() if device is None else device.jobs()
    if device is None:
        state.devices[sample.uuid] = device = Device(sample, taken)
    else:
        device.look(sample, taken, state.settings.monitor.window)
    if sample.faults:
        _note_faults(state, sample, before | device.jobs())


def _note_faults(state: State, sample: DeviceSample, jobs: Set[int]) -> None:
    """Write into the stories of those who were there what a program did to itself."""
    for number in sample.faults:
        for job in jobs & state.jobs.keys():
            detail = f"XID {number} on GPU {sample.index}: a fault of a program there; see dmesg"
            state.update(state.jobs[job], Note.FAULT, detail)
