"""What an nn.Module carries beside its state_dict.

Buffers that are not persistent, which parameters learn, and plain values of the modules: the
mode (train or eval), a probability or a temperature that a schedule has moved, a counter. And the
order in which DDP sums gradients.
"""

from typing import Any

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


def _put_buffer(module: nn.Module, name: str, value: Any) -> None:
    owner, _, own = name.rpartition(".")
    part = module.get_submodule(owner)
    buffer = part._buffers.get(own)
    if buffer is not None and buffer.shape == value.shape:
        buffer.copy_(value)
    else:
        part._buffers[own] = value


def _plain(module: nn.Module) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if type(value) in _PLAIN and name not in _MACHINERY
    }
