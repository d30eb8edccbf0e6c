"""The main promise: a training that is paused again and again ends in the same state."""

import random
import time

import pytest
from tests.e2e.machine import EXAMPLES, Machine, Running

STEP_TIME = 0.01
"""Seconds: the training has to last for all pauses, each some steps after the last."""
STEPS_BETWEEN = 50
LONGEST_WAIT = 0.15
SCRIPT = f"{EXAMPLES}/train_digits.py"


@pytest.mark.parametrize("pauses", [6, pytest.param(20, marks=pytest.mark.long)])
def test_train_digits_paused_and_resumed_at_random_steps_ends_in_the_same_digest(
    pauses: int, machine: Machine
) -> None:
    """Paused in turn by hand and by high-priority tasks, at instants drawn from a printed seed."""
    steps = STEPS_BETWEEN * pauses
    seed = random.randrange(10**6)  # noqa: S311 - to be repeated, not to be secret
    chance = random.Random(seed)  # noqa: S311
    training = machine.start(
        "--mem=16GiB", "--util=60", SCRIPT, f"--steps={steps}", f"--step-time={STEP_TIME}"
    )
    uninterrupted = machine.start_program("python", SCRIPT, f"--steps={steps}")
    for pause in range(pauses):
        _await_training(machine, training, pause)
        at = time.monotonic() + chance.uniform(0, LONGEST_WAIT)
        machine.wait_until(lambda at=at: time.monotonic() >= at)  # type: ignore[misc]
        if pause % 2:
            _pause_by_a_task(machine)
        else:
            _pause_by_hand(machine)
    assert training.end() == 0, training.said
    assert uninterrupted.end() == 0, uninterrupted.said
    paused = _steps_paused_at(machine)
    print(f"seed {seed}; paused at steps {paused}")
    assert len(paused) == machine.job(1)["pauses"] == pauses
    assert len(set(paused)) >= pauses - 2, f"seed {seed}: hardly random steps: {paused}"
    assert 0 < paused[-1] < steps
    assert _digest(training) == _digest(uninterrupted), f"seed {seed}, paused at steps {paused}"


def _await_training(machine: Machine, training: Running, pauses: int) -> None:
    """Wait until it trains: for the first time, or again."""
    said = "step " if pauses == 0 else ""
    machine.wait_until(
        lambda: machine.count(1, "resumed") == pauses and training.says(said), alive=[training]
    )


def _pause_by_hand(machine: Machine) -> None:
    assert machine.run("pause", "1").returncode == 0
    assert machine.state_of(1) == "paused"
    assert machine.run("resume", "1").returncode == 0


def _pause_by_a_task(machine: Machine) -> None:
    """It ends at once, and the training goes on by itself."""
    task = machine.run("--priority=high", "--mem=12GiB", "--util=30", "--", "true")
    assert task.returncode == 0, task.stderr


def _steps_paused_at(machine: Machine) -> list[int]:
    """The step of each checkpoint that a pause has left, in order."""
    lines = [line.detail for line in machine.log(1) if line.trigger == "durable"]
    return [int(detail.split()[1].rstrip(",")) for detail in lines]


def _digest(program: Running) -> str:
    (line,) = [line for line in program.out if line.startswith("digest ")]
    return line
