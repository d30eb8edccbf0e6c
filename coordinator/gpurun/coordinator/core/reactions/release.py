"""When a device is free of a job: its tree has ended and a later sample does not show it."""

import msgspec

from gpurun.coordinator.core import rehearsing
from gpurun.coordinator.core.job import Job, PauseOrder, Stage
from gpurun.coordinator.core.state import State
from gpurun.coordinator.core.transitions import Trigger
from gpurun.coordinator.core.words import pause_text
from gpurun.protocol.messages import Done, Paused


def tree_ended(state: State, job: Job, order: PauseOrder) -> None:
    """The launcher has ended the tree for this pause: charged until it is seen gone."""
    order = msgspec.structs.replace(order, stage=Stage.ENDED)
    job = state.move(job, Trigger.TREE_ENDED, pause=order, process=None, left=state.now.boot)
    if job.charged:
        state.look()
    else:
        _paused(state, job)


def see_gone(state: State) -> None:
    """Release the jobs that had ended before their devices were looked at and show none of them."""
    for job in state.charged():
        if job.left is not None and not _seen(state, job, job.left):
            for held in job.reservations:
                if device := state.devices.get(held.device):
                    device.forget(job.id)
            released = state.release(job)
            if released.state.waits and released.process is None:  # it is to run again
                state.update(released, left=None)
            if released.ended_for_pause:
                _paused(state, released)


def _seen(state: State, job: Job, left: float) -> bool:
    """A device that does not answer, or was looked at earlier, is not seen to be free."""
    for held in job.reservations:
        device = state.devices.get(held.device)
        if device is None:
            continue
        looked = device.answers and device.taken >= left
        if not looked or job.id in device.jobs() or not device.freed(job.id, left):
            return True
    return False


def _paused(state: State, job: Job) -> None:
    pauses, cost = job.pauses, job.exit_cost
    if not job.stays:  # one that stays has been paused before, in another way
        captured = job.pause.captured if job.pause is not None else state.now.boot
        cost = msgspec.structs.replace(cost, leaving=state.now.boot - captured)
        pauses += 1
    job = state.move(job, Trigger.RELEASED, left=None, regains=(), pauses=pauses, exit_cost=cost)
    tell_paused(state, job)


def tell_paused(state: State, job: Job) -> None:
    """Tell its launcher, and who waits for the pause."""
    state.send(state.launchers.get(job.id), Paused(job=job.id, text=pause_text(state, job)))
    rehearsing.stepped_aside(state, job)
    for peer in state.asked_to_pause.pop(job.id, ()):
        text = f"{job.label} is paused; gpurun resume {job.id} lets it go on"
        state.send(peer, Done(job=job.id, text=text))
