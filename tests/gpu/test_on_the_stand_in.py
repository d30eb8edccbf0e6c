"""The checks for a GPU run here on the CPU in its place, so that their own code is right."""

import importlib.util
from collections.abc import Callable

import pytest
from tests.gpu import __main__ as checks
from tests.gpu import hand_over, memory
from tests.gpu.device import STAND_IN, Device

WHOLE_JOBS = [pytest.param(check, marks=pytest.mark.long) for check in hand_over.CHECKS]


@pytest.mark.parametrize("check", [*WHOLE_JOBS, *memory.CHECKS])
def test_the_check(check: Callable[[Device], None]) -> None:
    check(STAND_IN)


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with a cure."""
    find = importlib.util.find_spec
    known = ("zmq", "msgspec")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in known else find(name)
    )
    assert checks.main() == 2
    words = capsys.readouterr().err
    assert words.startswith("gpurun: error: this Python has no pyzmq, msgspec; install it, or ")
    assert words.count("\n") == 1


@pytest.mark.skipif(checks.lacking() == "", reason="a GPU is there: make gpu-check")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main() == 2
    assert "sees no GPU; gpurun doctor" in capsys.readouterr().err
