"""A training of Hugging Face's Trainer under the real gpurun."""

import pytest
from tests.e2e.machine import EXAMPLES, Machine

SCRIPT = f"{EXAMPLES}/train_digits_transformers.py"
STEPS = "--steps=60"


@pytest.mark.long
def test_it_is_paused_run_again_and_ends_the_same_and_no_line_behind_it_runs_before(
    machine: Machine,
) -> None:
    """The example says its digest behind train(), once, and it is that of one left alone."""
    training = machine.start(
        "--pause=exit", "--mem=16GiB", "--util=60", SCRIPT, STEPS, "--step-time=0.1"
    )
    alone = machine.start_program("python", SCRIPT, STEPS)
    machine.wait_until(lambda: training.says("'loss'"), alive=[training])
    assert machine.run("pause", "1").returncode == 0
    assert machine.state_of(1) == "paused"
    assert not training.says("digest ")
    assert alone.end() == 0, alone.said
    assert float(alone.out[-1].removeprefix("accuracy ")) > 0.5
    assert machine.run("resume", "1").returncode == 0
    assert training.end() == 0, training.said
    assert machine.job(1)["attempt"] == 2
    digest = [line for line in training.out if line.startswith("digest ")]
    assert digest == [line for line in alone.out if line.startswith("digest ")], training.said
    assert len(digest) == 1
