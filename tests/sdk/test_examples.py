"""Each example runs alone, as its README says."""

import os
import re
import subprocess
import sys

import pytest

EXAMPLES = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "examples",
    "pytorch",
)


COMMANDS = {
    "fast": ["train_digits.py", "--steps", "150"],
    "slow": ["train_digits.py", "--steps", "150", "--step-time", "0.005"],
    "light": ["classify_digits.py"],
}


@pytest.fixture(scope="module")
def printed() -> dict[str, list[str]]:
    """The lines that each command prints outside gpurun; they run side by side."""
    pytest.importorskip("sklearn")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GPURUN_")}
    environment["OMP_NUM_THREADS"] = "1"
    processes = {
        name: subprocess.Popen(
            [sys.executable, *command],
            cwd=EXAMPLES,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, command in COMMANDS.items()
    }
    printed = {}
    for name, process in processes.items():
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        printed[name] = output.splitlines()
    return printed


def test_train_digits_learns(printed: dict[str, list[str]]) -> None:
    """One digest line, and nearly nine digits in ten are recognised."""
    digests = [line for line in printed["fast"] if re.fullmatch("digest [0-9a-f]{64}", line)]
    assert len(digests) == 1
    assert float(printed["fast"][-1].removeprefix("accuracy ")) > 0.88


def test_train_digits_ends_the_same_at_any_pace(printed: dict[str, list[str]]) -> None:
    """How long a step takes is no part of the state."""
    assert printed["slow"] == printed["fast"]


def test_classify_digits_says_when_it_has_started(printed: dict[str, list[str]]) -> None:
    """Its first line stands before the import of torch, its last gives the accuracy."""
    said = printed["light"]
    assert said[0] == "classify_digits: started"
    assert float(said[-1].removeprefix("classify_digits: accuracy ")) > 0.85
