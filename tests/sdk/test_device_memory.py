"""What PyTorch's CUDA functions are asked, by ones that answer in their place: no GPU is needed."""

import gc
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gpurun.sdk import device_memory

GIB = 1 << 30


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has functions of torch.cuda answer as a test says; one device is there."""

    def answers(**functions: Any) -> None:
        for name, function in functions.items():
            monkeypatch.setattr(torch.cuda, name, function)

    answers(is_initialized=lambda: True, device_count=lambda: 1)
    return answers


@pytest.mark.parametrize("lives", [True, False])
def test_a_segment_of_another_pool_tells_of_a_captured_graph(
    lives: bool, cuda: Callable[..., None]
) -> None:
    """Those of a graph that is gone stay only until the cache is emptied."""
    pools = [(0, 0)]
    cuda(
        memory_snapshot=lambda: [{"segment_pool_id": pool} for pool in pools],
        empty_cache=lambda: None if lives else pools.pop(),
    )
    assert not device_memory.has_graphs()
    pools.append((0, 1))
    assert device_memory.has_graphs() is lives


@pytest.mark.parametrize(("code", "why"), [(0, ""), (2, "CUDA error 2")])
def test_pinning_says_why_it_failed(code: int, why: str, cuda: Callable[..., None]) -> None:
    """And leaves no error behind for the next kernel of the training."""
    told: list[tuple[int, ...]] = []

    def register(*arguments: int) -> int:
        told.append(arguments)
        return code

    cuda(cudart=lambda: types.SimpleNamespace(cudaHostRegister=register))
    assert device_memory.pin(4096, 512) == why
    assert told == [(4096, 512, 1)]


def test_garbage_that_holds_memory_is_collected_before_the_release(
    cuda: Callable[..., None],
) -> None:
    """Pitfall 7: a traceback, say, that lives in a cycle with its frame."""

    class Kept:
        pass

    garbage = Kept()
    garbage.itself = garbage  # type: ignore[attr-defined]
    alive = weakref.ref(garbage)
    del garbage
    seen: list[bool] = []
    cuda(
        memory_allocated=lambda _: GIB if alive() else 0,
        empty_cache=lambda: seen.append(alive() is None),
        memory_reserved=lambda _: 7,
    )
    gc.disable()
    try:
        assert device_memory.release() == 7
    finally:
        gc.enable()
    assert seen == [True]


def test_devices_of_other_ranks_are_left_alone(
    cuda: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To wait for one would make a context there, in the memory that is to become free."""
    waited: list[int] = []
    cuda(
        device_count=lambda: 3,
        synchronize=waited.append,
        memory_allocated=lambda _: 0,
        memory_reserved=lambda device: 10 - device,
        empty_cache=lambda: None,
    )
    monkeypatch.setattr(torch._C, "_cuda_hasPrimaryContext", lambda d: d == 1, raising=False)
    device_memory.settle()
    assert (waited, device_memory.release()) == ([1], 9)


def test_without_a_context_nothing_is_asked() -> None:
    """A training on the CPU parks without a word to CUDA."""
    assert not torch.cuda.is_initialized()
    device_memory.settle()
    device_memory.unpin(0)
    assert (device_memory.release(), device_memory.has_graphs(), device_memory.pin(0, 1)) == (
        0,
        False,
        "",
    )
