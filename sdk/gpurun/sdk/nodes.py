"""Nodes in files, which `torch.load(weights_only=True)` reads: nothing in them can run code."""

import torch

from gpurun.sdk.encoding import Node
from gpurun.sdk.errors import CheckpointError


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
    """Read them into host memory."""
    nodes: dict[str, Node] = torch.load(path, map_location="cpu", weights_only=True)
    return nodes
