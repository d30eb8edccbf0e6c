"""`[limits] enforce`: the allocator is held to what the job reserved."""

import pytest
import torch

from gpurun import sdk
from gpurun.sdk import limit

GIB = 1 << 30


@pytest.mark.parametrize(
    ("reserved", "total", "share"),
    [(6 * GIB, 24 * GIB, 5.5 / 24), (24 * GIB, 24 * GIB, 23.5 / 24), (GIB // 4, 24 * GIB, 0.0)],
)
def test_the_context_is_taken_off_what_was_reserved(
    reserved: int, total: int, share: float
) -> None:
    assert limit.share(reserved, total) == pytest.approx(share)


def test_where_there_is_no_device_there_is_nothing_to_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same script trains on a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    limit.hold_to(6 * GIB)


def test_the_limit_of_the_environment_is_set_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For sdk.run, before setup."""
    said: list[object] = []

    class Telling(sdk.Trainable):
        def setup(self, config: dict[str, object]) -> None:
            said.append(config)

        def step(self) -> dict[str, object]:
            return {}

    monkeypatch.setattr(limit, "hold_to", said.append)
    for name in ("JOB", "ATTEMPT"):
        monkeypatch.setenv(f"GPURUN_{name}", "1")
    for name in ("TOKEN", "SOCKET", "CHECKPOINT_DIR"):
        monkeypatch.setenv(f"GPURUN_{name}", "nowhere")
    monkeypatch.setenv("GPURUN_MEMORY_LIMIT", str(6 * GIB))
    sdk.run(Telling, config={"a": 1}, steps=1)
    assert said == [6 * GIB, {"a": 1}]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_allocation_beyond_the_limit_fails() -> None:
    """As out of memory, which every script knows."""
    limit.hold_to(GIB)
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(GIB, dtype=torch.uint8, device="cuda")
    limit.hold_to(torch.cuda.get_device_properties(0).total_memory + limit.CONTEXT)
