"""What follows from the end of a job for others, until no more ends follow."""

from gpurun.coordinator.core import after, failures
from gpurun.coordinator.core.state import State


def settle(state: State) -> None:
    """Take each end that the event under way has brought about."""
    while state.ends:
        ended = state.ends.pop()
        failures.note(state, ended)
        after.settle(state, ended)
