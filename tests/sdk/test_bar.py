"""A training shows how far it is where somebody looks."""

import io
import sys

import pytest

from gpurun import sdk


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Counting(sdk.Trainable):
    def step(self) -> dict[str, float]:
        return {"loss": 0.25}


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last step's metrics."""
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    sdk.run(Counting, steps=2000)
    assert "2000/2000" in terminal.getvalue()


def test_in_a_file_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A log is not filled with bars."""
    sdk.run(Counting, steps=10)
    assert capsys.readouterr().err == ""
