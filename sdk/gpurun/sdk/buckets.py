"""The order in which DDP sums gradients, which it learns in its first backward pass.

A process that starts anew would sum its first gradients in another order, and with more than two
ranks that changes their last bits. So the order is saved, and a new DDP begins with it.

Source: Reducer::rebuild_buckets in PyTorch's torch/csrc/distributed/c10d/reducer.cpp, which has no
public interface: where it is not as expected, the order stays what it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from gpurun.sdk.say import say

Order = list[list[int]]
"""Of each bucket the numbers of its parameters."""


def orders(module: torch.nn.Module) -> dict[str, Order]:
    """The order of each DDP inside that has learnt it, by name."""
    with _as_it_is():
        found = {name: _order(part) for name, part in _parallel(module)}
        return {name: order for name, order in found.items() if order}
    return {}


def put_orders(module: torch.nn.Module, saved: dict[str, Order]) -> None:
    """Have each DDP inside begin with the order that was saved."""
    with _as_it_is():
        for name, part in _parallel(module):
            if name in saved and _order(part) != saved[name]:
                _put_order(part, saved[name])


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Leave it where this PyTorch keeps it in another way."""
    try:
        yield
    except (AttributeError, TypeError) as error:
        say(f"the order in which DDP sums gradients is not kept with this PyTorch: {error}")


def _parallel(module: torch.nn.Module) -> list[tuple[str, Any]]:
    if not dist.is_available():
        return []
    parts = module.named_modules()
    return [(name, part) for name, part in parts if isinstance(part, DistributedDataParallel)]


def _order(parallel: Any) -> Order | None:
    if not parallel._has_rebuilt_buckets:
        return None
    parameters, _ = parallel._build_params_for_reducer()
    numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
    try:
        buckets = parallel.reducer._get_zeros_like_grad_buckets()
    except RuntimeError:  # no memory for them, or a backward pass is under way
        return None
    return [[numbers[id(parameter)] for parameter in bucket.parameters()] for bucket in buckets]


def _put_order(parallel: Any, order: Order) -> None:
    parameters, sparse = parallel._build_params_for_reducer()
    sizes = [parallel.bucket_bytes_cap] * len(order)
    assigned = (list(reversed(order)), sizes)
    names = parallel._build_debug_param_to_name_mapping(parameters)
    private: Any = dist
    own = private._compute_bucket_assignment_by_size
    try:
        private._compute_bucket_assignment_by_size = lambda *_: assigned
        parallel._ddp_init_helper(parameters, sparse, names, parallel.static_graph)
    finally:
        private._compute_bucket_assignment_by_size = own
