"""A trainable's attributes in one file, and back into a trainable that `setup` has made."""

from collections.abc import Callable
from typing import Any

import torch

from gpurun.sdk.baseline import Baseline
from gpurun.sdk.checkpoint import require_room
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder, Node
from gpurun.sdk.errors import CheckpointError
from gpurun.sdk.tensors import on_host
from gpurun.sdk.trainable import Trainable

FILE = "state.pt"
_BASELINE = "_gpurun_baseline"


def attributes(trainable: Trainable) -> dict[str, Any]:
    """What is saved by default, by name."""
    left_out = {_BASELINE, *trainable.not_saved}
    return {name: value for name, value in vars(trainable).items() if name not in left_out}


def remember(trainable: Trainable) -> None:
    """Note how `setup` left it; without that, no object of an unknown kind can be saved."""
    vars(trainable)[_BASELINE] = Baseline(attributes(trainable))


def save(trainable: Trainable, folder: str) -> None:
    """Write the attributes into the folder; raise CheckpointError where one would be lost."""
    encoder = encoder_for(trainable)
    nodes = encoded(trainable, encoder)
    require_room(folder, encoder.size)
    write_nodes(nodes, f"{folder}/{FILE}")


def encoder_for(
    trainable: Trainable, copied: Callable[[torch.Tensor], torch.Tensor] = on_host
) -> Encoder:
    """What encodes its attributes; `copied` brings tensors to host memory."""
    return Encoder(vars(trainable).get(_BASELINE) or Baseline({}), copied)


def encoded(trainable: Trainable, encoder: Encoder) -> dict[str, Node]:
    """Its attributes as nodes; raise CheckpointError where one would be lost."""
    return {name: encoder.encode(value, name) for name, value in attributes(trainable).items()}


def load(trainable: Trainable, folder: str) -> None:
    """Give each attribute its saved value, in place where it can be."""
    nodes = read_nodes(f"{folder}/{FILE}")
    present = attributes(trainable)
    for name in present.keys() - nodes.keys():
        delattr(trainable, name)
    for name, node in nodes.items():
        setattr(trainable, name, decode(node, present.get(name)))


def write_nodes(nodes: dict[str, Node], path: str) -> None:
    """Write what an Encoder has made; raise CheckpointError when the disk takes no more."""
    with open(path, "wb") as file:
        try:
            torch.save(nodes, file)
        except (OSError, RuntimeError) as error:  # torch hides an OSError behind its own
            raise CheckpointError(
                f"{path} could not be written ({error}); is the disk full, or a quota reached?"
            ) from error


def read_nodes(path: str) -> dict[str, Node]:
    """Read them into host memory; nothing in the file can run code."""
    nodes: dict[str, Node] = torch.load(path, map_location="cpu", weights_only=True)
    return nodes
