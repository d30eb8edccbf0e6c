"""The gradients of a training: which there are, and how they come back."""

from collections.abc import Iterator
from typing import Any

import torch

from gpurun.sdk.encoding import leaves_of


def gradients(held: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The gradients that are there, by the names of their parameters."""
    return {path: tensor.grad for path, tensor in _learning(held) if tensor.grad is not None}


def put_gradients(held: dict[str, Any], saved: dict[str, torch.Tensor]) -> None:
    """Give each parameter the gradient that it had, in place where it has one; or none."""
    for path, tensor in _learning(held):
        gradient = saved.get(path)
        if gradient is None or tensor.grad is None:
            tensor.grad = None if gradient is None else gradient.to(tensor.device)
        else:
            tensor.grad.copy_(gradient)


def named(held: dict[str, Any]) -> list[str]:
    """The parameters that have one; a sparse one has no zeros that would stand for it."""
    return [path for path, grad in gradients(held).items() if grad.layout is torch.strided]


def put_zeros(held: dict[str, Any], names: list[str]) -> None:
    """Give a gradient of zeros to each parameter that is named, and none to the others."""
    zeroed = set(names)
    for path, tensor in _learning(held):
        tensor.grad = torch.zeros_like(tensor) if path in zeroed else None


def _learning(held: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """What may have a gradient, each once."""
    seen: set[int] = set()
    for path, tensor in _parameters(held):
        if tensor.is_leaf and tensor.requires_grad and id(tensor) not in seen:
            seen.add(id(tensor))
            yield path, tensor


def _parameters(held: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    for path, value in leaves_of(held):
        if isinstance(value, torch.nn.Module):
            yield from ((f"{path}.{name}", each) for name, each in value.named_parameters())
        elif isinstance(value, torch.optim.Optimizer):
            for index, group in enumerate(value.param_groups):
                each = enumerate(group["params"])
                yield from ((f"{path}.{index}.{number}", tensor) for number, tensor in each)
        elif isinstance(value, torch.Tensor):
            yield path, value
