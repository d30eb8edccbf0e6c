"""Checkpoints of a trainable, without a coordinator."""

from gpurun import sdk
from gpurun.sdk import checkpoint, snapshot
from gpurun.sdk.checkpoint import Label, Written
from gpurun.sdk.moment import Moment
from gpurun.sdk.state import Attributes


def save(trainable: sdk.Trainable, folder: str, step: int) -> Written:
    """Write its checkpoint under the folder."""
    return checkpoint.write(folder, Label(step), snapshot.part(Attributes(trainable), Moment(step)))


def load(trainable: sdk.Trainable, path: str, run: int = 0) -> int | None:
    """Put it back to the checkpoint; the step, or None where it is another training's."""
    return snapshot.load(Attributes(trainable), path, Moment(0, run))
