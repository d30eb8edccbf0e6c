"""What gpurun can neither park nor save by itself, by name: it is refused, never half-saved."""

from collections.abc import Iterator
from typing import Any

import torch

from gpurun.sdk.encoding import leaves_of

_KINDS = (
    ("torch.distributed", "FullyShardedDataParallel", "sharded state"),
    ("torch.distributed", "FSDPModule", "sharded state"),
    ("torch.distributed", "DTensor", "sharded state"),
    ("torch.distributed", "ZeroRedundancyOptimizer", "sharded state"),
    ("deepspeed", "DeepSpeedEngine", "sharded state"),
    ("bitsandbytes", "", "quantised state"),
    ("torchao", "", "quantised state"),
    ("torch.cuda", "CUDAGraph", "memory that must stay where it is"),
)
"""The package of a class or one that it derives from, its name where not all count, and why."""


def unsupported(held: dict[str, Any]) -> str:
    """The first such thing that a training holds and what it is; empty where there is none."""
    for path, value in _parts(held):
        for base in type(value).__mro__:
            if why := _why(base):
                return f"{path} is a {base.__name__}: {why}, which is not supported"
    return ""


def _parts(held: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for path, value in leaves_of(held):
        yield path, value
        if isinstance(value, torch.optim.Optimizer):
            yield path, getattr(value, "optimizer", None)  # the one in accelerate's
        if isinstance(value, torch.nn.Module):
            yield from ((f"{path}.{name}", part) for name, part in value.named_modules() if name)
            yield from ((f"{path}.{name}", each) for name, each in value.named_parameters())
            yield from ((f"{path}.{name}", each) for name, each in value.named_buffers())


def _why(base: type) -> str:
    for package, name, why in _KINDS:
        if f"{base.__module__}.".startswith(f"{package}.") and name in ("", base.__name__):
            return why
    return ""
