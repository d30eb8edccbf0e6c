"""The class that a training derives from; names and meanings are Ray Tune's."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost more than all the rest
if TYPE_CHECKING:
    from typing import Any


class Trainable:
    """A training in steps that can be saved at each boundary between two of them.

    Saved by default: every instance attribute that has `state_dict` and `load_state_dict`,
    tensors, arrays, random generators, plain values, and lists, dicts and tuples of these; and
    the random states of Python, NumPy and PyTorch. Anything else has to be as `setup` left it,
    or the pause is refused with its name. Gradients come back as zeros: a step ends with its own.
    """

    not_saved: tuple[str, ...] = ()
    """Attributes that `setup` makes anew and that may change without being saved."""

    def setup(self, config: dict[str, Any], /) -> None:
        """Make everything; runs at the start of each attempt, before anything is loaded."""

    def step(self) -> dict[str, Any] | None:
        """Train for one optimizer step and return its metrics."""
        raise NotImplementedError(f"{type(self).__name__} has no step()")

    def save_checkpoint(self, checkpoint_dir: str, /) -> dict[str, Any] | None:
        """Write the attributes into the folder.

        An own version may call this one, write files of its own there, or return a dict of
        plain values and tensors, which `load_checkpoint` then receives.
        """
        from gpurun.sdk.state import Attributes

        Attributes(self).save_attributes(checkpoint_dir)
        return None

    def load_checkpoint(self, checkpoint: Any, /) -> None:
        """Put back what `save_checkpoint` saved: its folder, or the dict that it returned."""
        from gpurun.sdk.state import Attributes

        Attributes(self).load_attributes(checkpoint)

    def cleanup(self) -> None:
        """Let go of what `setup` took; runs once at the end, also after an error."""
