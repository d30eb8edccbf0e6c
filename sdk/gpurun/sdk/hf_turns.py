"""The safe points of a Hugging Face Trainer: before the first batch of each step.

All that belongs to the step before is over then: its log, its evaluation, its save.
"""

from typing import Any, NamedTuple

from gpurun.sdk.hf_loader import Loader
from gpurun.sdk.session import Session


class Back(NamedTuple):
    """Where a pause was."""

    place: dict[str, Any]
    """What Loader.place told."""
    state: dict[str, Any]
    """The plain values of TrainerState."""

    @property
    def begin(self) -> tuple[int, int]:
        """Epochs that are over, and batches of the next that are."""
        return self.place["epoch"], self.place["skipped"] + self.place["data"]["batch"]


class Turns:
    """Those of one call of train()."""

    def __init__(self, trainer: Any) -> None:
        self.loader: Loader | None = None
        """What the present epoch comes from; None before the first turn."""
        self.back: Back | None = None
        """Where to go on, until the turn at which everything has been put back."""
        self.session: Session | None = None
        self._trainer = trainer
        self._last = -1

    def turn(self, loader: Loader) -> None:
        """Be told that the next batch is asked for: only the first of a step is a turn."""
        assert self.session is not None  # noqa: S101 - the training is under way
        self.loader = loader
        if self.back is not None:
            self.session.apply_again()
            self.back = None
        state = self._trainer.state
        if state.global_step == self._last:
            return
        self._last = state.global_step
        logged = state.log_history[-1] if state.log_history else {}
        self.session.has_come_to(state.global_step, state.max_steps, logged)
        if self.session.asked(state.global_step):
            self.session.step_aside(state.global_step)

    def watch(self) -> None:
        """Be told that an evaluation has come to its next batch."""
        if self.session is not None and self.session.asked():
            self.session.step_aside(self._trainer.state.global_step, evaluates=True)
