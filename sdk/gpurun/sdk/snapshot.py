"""The whole of a training at a step boundary: its attributes, its step, its random states."""

import os
import sys
from typing import Any

from gpurun.sdk import checkpoint, rng
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder
from gpurun.sdk.identity import identity
from gpurun.sdk.state import read_nodes, write_nodes
from gpurun.sdk.trainable import Trainable

_RUN = "run.pt"
_TRAINABLE = "trainable"


def save(trainable: Trainable, root: str, step: int, run: int = 0) -> checkpoint.Written:
    """Make a durable checkpoint under `root`; the random states are as before, whoever saves.

    `run` counts the calls of sdk.run in the script.
    """
    states = rng.capture()

    def fill(folder: str) -> None:
        os.mkdir(f"{folder}/{_TRAINABLE}", mode=0o700)
        returned = trainable.save_checkpoint(f"{folder}/{_TRAINABLE}")
        mine = identity(type(trainable), run)
        values = {"identity": mine, "step": step, "rng": states, "returned": returned}
        write_nodes(Encoder(lambda _path, _value: False).encode(values, "it"), f"{folder}/{_RUN}")

    try:
        return checkpoint.write(root, step, fill)
    finally:
        rng.restore(states)


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
