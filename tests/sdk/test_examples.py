"""Each example runs alone, as its README says."""

import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.sdk.coordinator_double import JOB, Coordinator

from gpurun.protocol import messages as m

EXAMPLES = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "examples",
    "pytorch",
)


COMMANDS = {
    "fast": ["train_digits.py", "--steps", "150"],
    "slow": ["train_digits.py", "--steps", "150", "--step-time", "0.005"],
    "light": ["classify_digits.py"],
    "lightning": ["train_digits_lightning.py", "--epochs", "5"],
}
TALKS = {"lightning"}
"""Those whose libraries write to stderr whatever they do."""


def _start(command: list[str]) -> "subprocess.Popen[str]":
    """Start it outside gpurun, with one thread."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GPURUN_")}
    return subprocess.Popen(
        command,
        cwd=EXAMPLES,
        env=environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def printed() -> dict[str, list[str]]:
    """The lines that each command prints outside gpurun; they run side by side."""
    pytest.importorskip("sklearn")
    processes = {name: _start([sys.executable, *command]) for name, command in COMMANDS.items()}
    printed = {}
    for name, process in processes.items():
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors if name not in TALKS else "") == (0, ""), errors
        printed[name] = output.splitlines()
    return printed


def test_train_digits_learns(printed: dict[str, list[str]]) -> None:
    """One digest line, and nearly nine digits in ten are recognised."""
    digests = [line for line in printed["fast"] if re.fullmatch("digest [0-9a-f]{64}", line)]
    assert len(digests) == 1
    assert float(printed["fast"][-1].removeprefix("accuracy ")) > 0.88


def test_train_digits_lightning_learns(printed: dict[str, list[str]]) -> None:
    """The same network, trained by PyTorch Lightning."""
    assert float(printed["lightning"][-1].removeprefix("accuracy ")) > 0.88


def test_train_digits_ends_the_same_at_any_pace(printed: dict[str, list[str]]) -> None:
    """How long a step takes is no part of the state."""
    assert printed["slow"] == printed["fast"]


def test_plain_digits_saves_at_a_signal_and_ends_as_if_it_had_not(tmp_path: Path) -> None:
    """The second attempt begins where the first one has exited with 85."""
    pytest.importorskip("sklearn")
    command = [sys.executable, "plain_digits.py", "--steps", "150", "--file", f"{tmp_path}/saved"]
    whole = _start([*command[:-1], f"{tmp_path}/never"])
    first = _start([*command, "--step-time", "0.02"])
    assert first.stdout
    assert first.stdout.readline() == "starts at step 0\n"
    first.send_signal(signal.SIGUSR2)
    assert first.communicate(timeout=60)[1] == ""
    assert first.returncode == 85
    second = _start(command)
    output, errors = second.communicate(timeout=60)
    assert (second.returncode, errors) == (0, "")
    begun, *rest = output.splitlines()
    assert 0 < int(begun.removeprefix("starts at step ")) < 150
    output, errors = whole.communicate(timeout=60)
    assert (output.splitlines(), errors) == (["starts at step 0", *rest], "")
    assert not os.path.exists(f"{tmp_path}/saved")
    assert float(rest[-1].removeprefix("accuracy ")) > 0.88


def test_classify_digits_says_when_it_has_started(printed: dict[str, list[str]]) -> None:
    """Its first line stands before the import of torch, its last gives the accuracy."""
    said = printed["light"]
    assert said[0] == "classify_digits: started"
    assert float(said[-1].removeprefix("classify_digits: accuracy ")) > 0.85


def test_loop_digits_ends_the_same_alone_and_where_it_was_paused(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the attempt that is let go on, and in the one that begins with the checkpoint."""
    pytest.importorskip("sklearn")
    path = os.path.join(EXAMPLES, "loop_digits.py")
    monkeypatch.setattr(sys, "argv", [path, "--epochs", "3"])
    coordinator.on(m.Durable, lambda heard: m.GoOn(job=JOB, request=heard.request))

    def lines() -> list[str]:
        try:
            runpy.run_path(path, run_name="__main__")
        finally:
            torch.use_deterministic_algorithms(False)
        return capsys.readouterr().out.splitlines()

    with monkeypatch.context() as patch:
        patch.delenv("GPURUN_JOB")
        alone = lines()
    assert float(alone[-1].removeprefix("accuracy ")) > 0.8
    coordinator.on(m.Progress, lambda _: coordinator.pause(1))
    assert lines() == alone
    durable = coordinator.wait_for(m.Durable)
    assert durable.step > 0
    monkeypatch.setenv("GPURUN_RESUME", durable.checkpoint)
    assert lines() == alone[durable.step // 24 :]
    assert coordinator.of(m.Resumed)[-1].step == durable.step
