"""What a training is known to hold: its tensors, and of those the storages on its devices."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from gpurun.sdk import device_memory
from gpurun.sdk.encoding import is_stateful, leaves, leaves_of
from gpurun.sdk.errors import UnmovableError

PLAIN = (torch.Tensor, torch.nn.Parameter)
"""The kinds of tensors that are their bytes; of others nobody knows where these are."""


class Holdings(NamedTuple):
    """The storages on the devices; one that several tensors share may be named more than once."""

    state: list[torch.UntypedStorage]
    gradients: list[torch.UntypedStorage]


def holdings(attributes: dict[str, Any]) -> Holdings:
    """Of all tensors that are known to belong to the training.

    Raise UnmovableError with the name of one that must stay where it is.
    """
    found = Holdings([], [])
    for path, tensor in _tensors(attributes):
        _add(found.state, path, tensor)
        if tensor.is_leaf and tensor.grad is not None:
            _add(found.gradients, f"{path}.grad", tensor.grad)
    return found


def held_bytes(attributes: dict[str, Any]) -> int:
    """Bytes of all tensors that are known to belong to the training, gradients included."""
    storages = []
    for _, tensor in _tensors(attributes):
        storages.append(tensor.untyped_storage())
        if tensor.is_leaf and tensor.grad is not None:
            storages.append(tensor.grad.untyped_storage())
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _add(storages: list[torch.UntypedStorage], path: str, tensor: torch.Tensor) -> None:
    kind = tensor.device.type
    if kind == device_memory.KIND:
        if type(tensor) not in PLAIN:
            raise UnmovableError(f"{path} is a {type(tensor).__name__}, which cannot be parked")
        if tensor.layout is torch.strided:
            storages.append(tensor.untyped_storage())
    elif kind != "cpu":
        raise UnmovableError(f"{path} is on {kind}: only {device_memory.KIND} can be parked from")


def _tensors(attributes: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    for path, value in leaves_of(attributes):
        if isinstance(value, torch.nn.Module):
            yield from _of_module(value, path)
        elif is_stateful(value):
            if isinstance(value, torch.optim.Optimizer):
                groups = [group["params"] for group in value.param_groups]
                yield from _among(leaves(groups, f"{path}.param_groups"))
            state = getattr(value, "state_dict")()  # noqa: B009 - what it is says nothing of that
            yield from _among(leaves(state, path))
        else:
            yield from _among(iter([(path, value)]))


def _of_module(module: torch.nn.Module, path: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, buffers, and tensors that are plain attributes, such as a table of angles."""
    for name, part in module.named_modules():
        own = f"{path}.{name}" if name else path
        parts = {**part._parameters, **part._buffers, **vars(part)}
        yield from _among((f"{own}.{inner}", value) for inner, value in parts.items())


def _among(values: Iterator[tuple[str, object]]) -> Iterator[tuple[str, torch.Tensor]]:
    return ((path, value) for path, value in values if isinstance(value, torch.Tensor))
