"""The whole of a training at a step boundary: its state, its step, its random states."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from gpurun.sdk import checkpoint, rng, tensors
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder
from gpurun.sdk.identity import identity
from gpurun.sdk.nodes import read_nodes, write_nodes
from gpurun.sdk.say import say
from gpurun.sdk.subject import FILE, Subject
from gpurun.sdk.tensors import Copied

_RUN = "run.pt"
_STATE = "state"


class Moment(NamedTuple):
    """Where in its script a training is."""

    step: int
    run: int = 0
    """Which training of its script it is, from 0."""


def save(subject: Subject, root: str, moment: Moment) -> checkpoint.Written:
    """Make a durable checkpoint under `root`; the random states are as before, whoever saves."""
    with rng.kept() as states:

        def fill(folder: str) -> None:
            os.mkdir(f"{folder}/{_STATE}", mode=0o700)
            returned = subject.save(f"{folder}/{_STATE}")
            _write_values(subject, moment, states, returned, folder)

        return checkpoint.write(root, moment.step, fill)


def capture(
    subject: Subject, root: str, moment: Moment, copied: Copied
) -> Callable[[], checkpoint.Written]:
    """Copy the whole of it to host memory; what is returned writes that, at any later time."""
    with rng.kept() as states:
        encoder = subject.encoder(copied)
        nodes = subject.encoded(encoder)

    def fill(folder: str) -> None:
        checkpoint.require_room(folder, encoder.size)
        os.mkdir(f"{folder}/{_STATE}", mode=0o700)
        write_nodes(nodes, f"{folder}/{_STATE}/{FILE}")
        _write_values(subject, moment, states, None, folder)

    return lambda: checkpoint.write(root, moment.step, fill)


def _write_values(
    subject: Subject, moment: Moment, states: dict[str, Any], returned: object, folder: str
) -> None:
    """All that is saved beside the state."""
    mine = identity(subject.kind, moment.run)
    values = {"identity": mine, "step": moment.step, "rng": states, "returned": returned}
    encoder = Encoder(lambda _path, _value: False, tensors.on_host)
    write_nodes(encoder.encode(values, "it"), f"{folder}/{_RUN}")


def load(subject: Subject, path: str, run: int = 0, *, random_states: bool = True) -> int | None:
    """Put a training that was set up back to its checkpoint, and return its step.

    Falls back to the newest complete one where that one is damaged. Returns None, and changes
    nothing, when the checkpoint is that of another training of the job.
    """
    found = checkpoint.newest_complete(path)
    if os.path.basename(found) != os.path.basename(path.rstrip("/")):
        say(f"{path} is damaged; going on from {found}")
    values: dict[str, Any] = decode(read_nodes(f"{found}/{_RUN}"))
    if values["identity"] != identity(subject.kind, run):
        return None
    subject.load(f"{found}/{_STATE}", values["returned"])
    if random_states:
        rng.restore(values["rng"])  # last: whatever loading has drawn does not count
    return int(values["step"])
