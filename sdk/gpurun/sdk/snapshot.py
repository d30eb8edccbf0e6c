"""The whole of a training at a step boundary: its state, its step, its random states."""

import os
from contextlib import suppress
from typing import Any

import torch

from gpurun.sdk import checkpoint, rng, tensors
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder
from gpurun.sdk.errors import CheckpointError, UnsavedError
from gpurun.sdk.identity import identity
from gpurun.sdk.moment import Moment, Part
from gpurun.sdk.nodes import read_nodes, write_nodes
from gpurun.sdk.say import say
from gpurun.sdk.subject import FILE, Subject
from gpurun.sdk.tensors import Copied

_RUN = "run.pt"
_STATE = "state"


def part(subject: Subject, moment: Moment) -> Part:
    """Save from where it is; the random states are as before, whoever saves."""

    def fill(folder: str) -> None:
        with rng.kept() as states:
            mine = _own_folder(folder, moment)
            returned = subject.save(f"{mine}/{_STATE}")
            values = _values(subject, moment, states, returned, tensors.on_host)
            write_nodes(values, f"{mine}/{_RUN}")

    return fill


def captured(subject: Subject, moment: Moment, copied: Copied) -> Part:
    """Copy the whole of it to host memory; what is returned writes that, at any later time."""
    with rng.kept() as states:
        encoder = subject.encoder(copied)
        nodes = subject.encoded(encoder)
        values = _values(subject, moment, states, None, _apart)
    size = encoder.size  # itself it holds what was copied, which may be the device's memory

    def fill(folder: str) -> None:
        checkpoint.require_room(folder, size)
        mine = _own_folder(folder, moment)
        write_nodes(nodes, f"{mine}/{_STATE}/{FILE}")
        write_nodes(values, f"{mine}/{_RUN}")

    return fill


def _own_folder(folder: str, moment: Moment) -> str:
    mine = _of_rank(folder, moment.rank)
    os.mkdir(mine, mode=0o700)
    os.mkdir(f"{mine}/{_STATE}", mode=0o700)
    return mine


def _of_rank(folder: str, rank: int) -> str:
    return f"{folder}/rank-{rank}"


def _apart(tensor: torch.Tensor) -> torch.Tensor:
    return tensors.on_host(tensor).clone()


def _values(
    subject: Subject, moment: Moment, states: dict[str, Any], returned: object, copied: Copied
) -> dict[str, Any]:
    """All that is saved beside the state, as nodes."""
    values = {
        "identity": identity(subject.kind, moment.run),
        "step": moment.step,
        "world": moment.world,
        "rng": states,
        "returned": returned,
    }
    encoder = Encoder(lambda _path, _value: False, copied)
    nodes: dict[str, Any] = encoder.encode(values, "it")
    with suppress(UnsavedError):  # then only what sdk.run returns of an ended training lacks it
        nodes["last"] = encoder.encode(subject.last, "metrics")
    return nodes


def load(subject: Subject, path: str, moment: Moment, *, random_states: bool = True) -> int | None:
    """Put a training that was set up back to its checkpoint, and return its step.

    Falls back to the newest complete one where that one is damaged. Returns None, and changes
    nothing, when the checkpoint is that of another training of the job.
    """
    own = checkpoint.of_run(path, moment.run)
    if own is None:
        return None
    found = checkpoint.newest_complete(own, moment.run)
    if os.path.basename(found) != os.path.basename(own.rstrip("/")):
        say(f"{own} is damaged; going on from {found}")
    mine = _of_rank(found, min(moment.rank, _ranks_in(found) - 1))
    values: dict[str, Any] = decode(read_nodes(f"{mine}/{_RUN}"))
    if values["identity"] != identity(subject.kind, moment.run):
        return None
    if values["world"] != moment.world:
        raise CheckpointError(
            f"{found} is of {values['world']} ranks and this training has {moment.world}; "
            "start it with as many as before, or anew: run the command again with gpurun"
        )
    subject.load(f"{mine}/{_STATE}", values["returned"])
    subject.last = values.get("last")
    if random_states:
        rng.restore(values["rng"])  # last: whatever loading has drawn does not count
    return int(values["step"])


def _ranks_in(folder: str) -> int:
    return sum(name.startswith("rank-") for name in os.listdir(folder))
