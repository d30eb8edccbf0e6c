"""What the command itself costs."""

import sys

from benchmarks.overhead import IMPORTS, measure, over_true, table
from tests.e2e.machine import Machine

MARGIN = 0.050


def test_gpurun_true_costs_little_more_than_importing_what_it_is_built_on(
    machine: Machine,
) -> None:
    """A bound that holds on a busy machine too; benchmarks/overhead.py has the one of 70 ms."""
    commands = {
        "true": ["true"],
        "gpurun true": [machine.gpurun, "-q", "--mem=1GiB", "--util=5", "true"],
        "imports": [sys.executable, "-c", IMPORTS],
    }
    taken = measure(commands, machine.environment)
    print(f"\n{table(taken)}")
    assert machine.job(21)["state"] == "finished"  # they all went through the coordinator
    cost, floor = over_true(taken, "gpurun true"), over_true(taken, "imports")
    assert cost <= 1.6 * floor + MARGIN, table(taken)
