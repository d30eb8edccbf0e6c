"""What people see of estimates: the lines of a job, `gpurun estimate`, an end out of memory."""

import json
from typing import Any

import pytest
from tests.e2e.conftest import MakeMachine
from tests.e2e.machine import Machine

from gpurun.protocol.quantity import GIB

FAST = "[monitor]\ninterval = 0.1\n"
LOAD = ("gpurun", "sim", "load", "--util=30", "--seconds=2.5")


@pytest.fixture
def machine(make_machine: MakeMachine) -> Machine:
    """One simulated device that is looked at ten times a second."""
    return make_machine(config=FAST)


def estimate(machine: Machine, *words: str) -> Any:
    done = machine.run("estimate", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_program_that_has_run_is_admitted_with_what_it_needed(machine: Machine) -> None:
    """Unknown the first time, learned the second; the line at the end tells beforehand."""
    command = (*LOAD, "--mem=5GiB")
    assert estimate(machine, *command)["basis"] == "unknown"
    first = machine.run(*command)
    assert "peak 5.0 GiB of 21.6 GiB reserved; next time 5.2 GiB will be reserved" in first.stderr
    known = estimate(machine, *command)
    assert (known["basis"], known["memory"]) == ("learned", 5.25 * GIB)
    second = machine.run(*command)
    assert "5.2 GiB and 30 % reserved, learned from earlier runs" in second.stderr
    assert machine.job(2)["estimate"] == {
        "memory": 5.25 * GIB,
        "utilization": pytest.approx(0.3),
        "basis": "learned",
        "confidence": 0.5,
    }
