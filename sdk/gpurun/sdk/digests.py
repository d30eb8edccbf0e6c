"""One number for a state: equal digests are equal bits.

The walk is canonical: the items of a dict are sorted by name, and each value goes in with its
type, its length or shape, and its bytes. Devices do not count.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from gpurun.sdk import rng
from gpurun.sdk.encoding import TAG, Encoder, Node
from gpurun.sdk.state import attributes
from gpurun.sdk.trainable import Trainable

_NOT_STATE = frozenset({"device"})


def digest(state: object) -> str:
    """SHA-256, in hex, of a value, or of a trainable's attributes and the random states now.

    The random states are those of Python, NumPy and PyTorch: a training that does not seed all
    three never has the same digest in two processes, whether it was paused or not.
    """
    if isinstance(state, Trainable):
        state = {"attributes": attributes(state), "rng": rng.capture()}
    node = Encoder(lambda _path, _value: True).encode(state, "state")
    sha = hashlib.sha256()
    _walk(node, sha)
    return sha.hexdigest()


def leaf_digests(values: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of each single value, by a name that its script knows; random states come last."""
    unchanged = Encoder(lambda _path, _value: True)
    named = {**values, "random states": rng.capture()}
    return dict(_leaves(unchanged.encode(named, "it"), ""))


def _leaves(node: Node, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict) and TAG not in node:
        for name in node:
            yield from _leaves(node[name], f"{path}.{name}" if path else str(name))
    elif isinstance(node, dict) and node[TAG] in ("stateful", "generator"):
        yield from _leaves(node["state"], path)
        yield from _leaves(node.get("beside", {}), f"{path}.beside state_dict")
    elif isinstance(node, dict) and isinstance(node.get("items"), dict):
        yield from _leaves(node["items"], path)
    elif isinstance(node, (list, tuple)) and node:
        for index, item in enumerate(node):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        sha = hashlib.sha256()
        _walk(node, sha)
        yield path, sha.hexdigest()


def _walk(node: Node, sha: Any) -> None:
    if isinstance(node, torch.Tensor):
        sha.update(f"tensor {node.dtype} {tuple(node.shape)};".encode())
        sha.update(_bytes(node))
    elif isinstance(node, dict):
        tagged = TAG in node
        names = sorted(node, key=repr) if not tagged else sorted(node.keys() - _NOT_STATE)
        sha.update(f"dict {len(names)};".encode())
        for name in names:
            _walk(name, sha)
            _walk(node[name], sha)
    elif isinstance(node, (list, tuple)):
        sha.update(f"{type(node).__name__} {len(node)};".encode())
        for item in node:
            _walk(item, sha)
    else:
        text = f"{type(node).__name__} {node!r}".encode()
        sha.update(b"%d:%b;" % (len(text), text))


def _bytes(tensor: torch.Tensor) -> bytes:
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes()
