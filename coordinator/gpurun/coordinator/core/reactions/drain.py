"""Drain: nothing new is admitted, before a driver update or a reboot; running jobs go on."""

from gpurun.coordinator.core.effects import Keep
from gpurun.coordinator.core.events import MessageEvent
from gpurun.coordinator.core.state import State
from gpurun.protocol.messages import Done, Drain

DRAINED = "drained"
"""The key under which the store keeps it."""


def on_drain(state: State, event: MessageEvent, message: Drain) -> None:
    """Answered at once; it holds until it is taken back, whoever restarts the coordinator."""
    state.drained = message.on
    state.effects.append(Keep(cause=state.cause, key=DRAINED, value="yes" if message.on else ""))
    state.pass_wanted = True
    state.untold.update(job.id for job in state.live() if job.state.waits)
    state.send(event.peer, Done(job=0, text=_text(state)))


def _text(state: State) -> str:
    if not state.drained:
        return "jobs are admitted again"
    running = len(state.charged())
    left = f"{running} job{'s' * (running != 1)} still here" if running else "no job is left"
    return f"nothing new is admitted ({left}); gpurun drain --off ends that"
