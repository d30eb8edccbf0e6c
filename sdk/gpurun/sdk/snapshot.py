"""The whole of a training at a step boundary: its attributes, its step, its random states."""

import os
import sys
from collections.abc import Callable
from typing import Any

import torch

from gpurun.sdk import checkpoint, rng, tensors
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder
from gpurun.sdk.identity import identity
from gpurun.sdk.parking import Parking
from gpurun.sdk.state import FILE, encoded, encoder_for, read_nodes, write_nodes
from gpurun.sdk.trainable import Trainable

_RUN = "run.pt"
_TRAINABLE = "trainable"


def save(trainable: Trainable, root: str, step: int, run: int = 0) -> checkpoint.Written:
    """Make a durable checkpoint under `root`; the random states are as before, whoever saves.

    `run` counts the calls of sdk.run in the script.
    """
    with rng.kept() as states:

        def fill(folder: str) -> None:
            os.mkdir(f"{folder}/{_TRAINABLE}", mode=0o700)
            returned = trainable.save_checkpoint(f"{folder}/{_TRAINABLE}")
            values = _values(trainable, step, run, states, returned)
            write_nodes(_encoder(tensors.on_host).encode(values, "it"), f"{folder}/{_RUN}")

        return checkpoint.write(root, step, fill)


def saves_itself(trainable: Trainable) -> bool:
    """Whether its script has a save_checkpoint of its own, which reads the device."""
    return type(trainable).save_checkpoint is not Trainable.save_checkpoint


def capture(
    trainable: Trainable, root: str, step: int, run: int, parking: Parking
) -> Callable[[], checkpoint.Written]:
    """Copy the whole of it to host memory; what is returned writes that, at any later time."""
    encoder = encoder_for(trainable, parking.host)
    with rng.kept() as states:
        nodes = encoded(trainable, encoder)
        values = _values(trainable, step, run, states, None)
        rest = _encoder(parking.host).encode(values, "it")

    def fill(folder: str) -> None:
        checkpoint.require_room(folder, encoder.size)
        os.mkdir(f"{folder}/{_TRAINABLE}", mode=0o700)
        write_nodes(nodes, f"{folder}/{_TRAINABLE}/{FILE}")
        write_nodes(rest, f"{folder}/{_RUN}")

    return lambda: checkpoint.write(root, step, fill)


def _values(
    trainable: Trainable, step: int, run: int, states: dict[str, Any], returned: object
) -> dict[str, Any]:
    """All that is saved beside the attributes."""
    mine = identity(type(trainable), run)
    return {"identity": mine, "step": step, "rng": states, "returned": returned}


def _encoder(copied: Callable[[torch.Tensor], torch.Tensor]) -> Encoder:
    return Encoder(lambda _path, _value: False, copied)


def load(trainable: Trainable, path: str, run: int = 0) -> int | None:
    """Put a trainable that was set up back to its checkpoint, and return its step.

    Falls back to the newest complete one where that one is damaged. Returns None, and changes
    nothing, when the checkpoint is that of another training of the job: one that comes before
    it has ended, and is done again; one that comes after it has not begun.
    """
    found = checkpoint.newest_complete(path)
    if os.path.basename(found) != os.path.basename(path.rstrip("/")):
        print(f"gpurun: {path} is damaged; going on from {found}", file=sys.stderr, flush=True)
    values: dict[str, Any] = decode(read_nodes(f"{found}/{_RUN}"))
    if values["identity"] != identity(type(trainable), run):
        return None
    returned = values["returned"]
    trainable.load_checkpoint(f"{found}/{_TRAINABLE}" if returned is None else returned)
    rng.restore(values["rng"])  # last: whatever loading has drawn does not count
    return int(values["step"])
