"""What an nn.Module carries beside its state_dict.

Buffers that are not persistent, which parameters learn, and plain values of the modules: the
mode (train or eval), a probability or a temperature that a schedule has moved, a counter. Tensors
that are mere attributes, and lists of them: in these torchmetrics counts. And the order in which
DDP sums gradients.
"""

from typing import Any

import torch
from torch import nn

from gpurun.sdk.buckets import orders, put_orders

_PLAIN = (type(None), bool, int, float, str)
_MACHINERY = frozenset(vars(nn.Module())) - {"training"}


def beside_state_dict(module: nn.Module) -> dict[str, Any]:
    """What state_dict leaves out, by name."""
    saved = module.state_dict(keep_vars=True)
    return {
        "buffers": {name: b for name, b in module.named_buffers() if name not in saved},
        "learns": {name: p.requires_grad for name, p in module.named_parameters()},
        "orders": orders(module),
        "plain": {name: _plain(part) for name, part in module.named_modules()},
        "tensors": {name: _tensors(part) for name, part in module.named_modules()},
    }


def put_beside(module: nn.Module, state: dict[str, Any]) -> None:
    """Put it back into a module of the same make."""
    for name, value in state["buffers"].items():
        _put_buffer(module, name, value)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(state["learns"].get(name, parameter.requires_grad))
    put_orders(module, state["orders"])
    parts = dict(module.named_modules())
    for name, plain in state["plain"].items():
        parts[name].__dict__.update(plain)
    for name, tensors in state["tensors"].items():
        attributes = parts[name].__dict__
        for own, value in tensors.items():
            attributes[own] = _filled(attributes.get(own), value)


def _put_buffer(module: nn.Module, name: str, value: Any) -> None:
    owner, _, own = name.rpartition(".")
    part = module.get_submodule(owner)
    buffer = part._buffers.get(own)
    if buffer is not None and buffer.shape == value.shape:
        buffer.copy_(value)
    else:
        part._buffers[own] = value


def _tensors(module: nn.Module) -> dict[str, Any]:
    """A cached result of the last forward pass, which has a past, is none of its state."""
    return {
        name: value
        for name, value in vars(module).items()
        if _is_own(value) or (type(value) is list and value and all(map(_is_own, value)))
    }


def _is_own(value: object) -> bool:
    plain = type(value) in (torch.Tensor, nn.Parameter)
    return plain and value.is_leaf and value.layout is torch.strided  # type: ignore[attr-defined]


def _filled(current: Any, value: Any) -> Any:
    """What is there with the saved values, where they fit: others may know it too."""
    if type(value) is list:
        known = current if type(current) is list and len(current) == len(value) else value
        known[:] = map(_filled, known, value)
        return known
    if not _is_own(current) or (current.shape, current.dtype) != (value.shape, value.dtype):
        return value
    with torch.no_grad():
        return current.copy_(value)


def _plain(module: nn.Module) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if type(value) in _PLAIN and name not in _MACHINERY
    }
