"""sdk.check names the first thing that a save and a load lose."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.trainings import Tiny

from gpurun import sdk
from gpurun.sdk.errors import CheckError

ROOT = Path(__file__).parent.parent.parent
LOOP = """
import random
import torch
from gpurun import sdk
random.seed(1)
torch.manual_seed(1)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
job = sdk.job(model=model, optimizer=optimizer, done=0)
{made}
for _ in job.steps(11):
    loss = (model(torch.rand(3, 2)) * {factor}).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    {factor} += 1
"""


class Forgetful(Tiny):
    """Loads in its own way, and forgets its best loss."""

    def load_checkpoint(self, checkpoint: Any, /) -> None:
        best = self.best
        super().load_checkpoint(checkpoint)
        self.best = best


def test_pitfall_14_what_is_forgotten_is_named() -> None:
    """Pitfall 14."""
    with pytest.raises(CheckError, match=r"^best differs right behind the load$"):
        sdk.check(Forgetful)


@pytest.mark.parametrize(
    ("factor", "made", "code", "said"),
    [
        ("job.done", "", 0, "loses nothing: 5 steps, a checkpoint, a new process and 5 more"),
        ("count", "count = 0", 1, "model.weight differs 5 steps behind the load, and not before"),
    ],
)
def test_a_script_is_checked_from_outside(
    factor: str, made: str, code: int, said: str, tmp_path: Path
) -> None:
    """A plain value of the job comes back, a global does not."""
    script = tmp_path / "loop.py"
    script.write_text(LOOP.format(factor=factor, made=made))
    done = subprocess.run(
        [sys.executable, "-m", "gpurun.sdk.checking", str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(map(str, ROOT.glob("*/gpurun/..")))},
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


TWO = """
from gpurun import sdk
class Short(sdk.Trainable):
    def setup(self, config):
        self.done = 0
    def step(self):
        self.done += 1
class Forgets(Short):
    def load_checkpoint(self, checkpoint):
        pass
sdk.run(Short, steps=7)
sdk.run(Forgets, steps=11)
"""


def test_of_several_trainings_one_that_is_long_enough_is_checked(tmp_path: Path) -> None:
    """Its own half against its own end, not that of the one before."""
    script = tmp_path / "two.py"
    script.write_text(TWO)
    done = subprocess.run(
        [sys.executable, "-m", "gpurun.sdk.checking", str(script)], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout
    assert "done differs right behind the load" in done.stderr


def test_a_script_that_trains_too_little_is_told_so(tmp_path: Path) -> None:
    """Instead of a proof of nothing."""
    script = tmp_path / "nothing.py"
    script.write_text("print('hello')")
    done = subprocess.run(
        [sys.executable, "-m", "gpurun.sdk.checking", str(script)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "hello\n")
    assert "no training of it came to step 10" in done.stderr
