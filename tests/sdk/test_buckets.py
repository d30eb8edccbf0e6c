"""The order in which DDP sums gradients is kept where PyTorch lets it be, and else left alone."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from gpurun.sdk.buckets import orders, put_orders


@pytest.fixture
def parallel(tmp_path: Any) -> Iterator[torch.nn.Module]:
    """A DDP that has learnt its order."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    module = DistributedDataParallel(torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in "ab")))
    for _ in range(2):
        module(torch.ones(1, 2)).sum().backward()
    yield module
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
def test_a_new_ddp_begins_with_the_order_that_was_saved(parallel: torch.nn.Module) -> None:
    saved = orders(parallel)
    assert sorted(number for bucket in saved[""] for number in bucket) == [0, 1, 2, 3]
    put_orders(parallel, other := {"": [[0, 1], [2, 3]]})
    assert other != saved
    assert orders(parallel) == other


@pytest.mark.filterwarnings("ignore")
def test_a_pytorch_that_keeps_it_in_another_way_costs_no_pause(
    parallel: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = orders(parallel)
    monkeypatch.delattr(parallel, "_has_rebuilt_buckets")
    assert orders(parallel) == {}
    put_orders(parallel, saved)
    assert "the order in which DDP sums gradients is not kept" in capsys.readouterr().err
