"""OutOfMemory and Cycled: what a training says of its own use of memory."""

from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.reactions.authority import attempt_of
from gpurun.coordinator.core.shrinking import shrink
from gpurun.coordinator.core.state import State
from gpurun.protocol.messages import Cycled, Done, OutOfMemory


def on_out_of_memory(state: State, event: MessageEvent, message: OutOfMemory) -> None:
    """An allocation failed; whether the job outlives that, its end will tell."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and not job.state.ended:
        state.update(job, oom=True, needed=max(0, message.needed))
    # Who waits for this before it ends comes before the word of its end.
    state.send(event.peer, Done(job=message.job, text="noted"))


def on_cycled(state: State, event: MessageEvent, message: Cycled) -> None:
    """What the job will not need any more goes to others."""
    job = attempt_of(state, event, message.job, message.attempt)
    if job is not None and not job.state.ended and not job.cycled:
        state.update(job, cycled=True)
        state.pass_wanted = True  # those of its program that wait are known better now
        shrink(state)
