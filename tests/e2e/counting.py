"""The training that counts its steps, and what it must come to."""

import sys

from tests.e2e.machine import SCRIPTS, Machine, Running

COUNTING = f"{SCRIPTS}/counting.py"


def ends_as_if_alone(machine: Machine, training: Running, go: str) -> None:
    """The digest is that of a training that nobody interrupts."""
    machine.write_script("go", "")
    assert training.end() == 0
    (digest,) = (line for line in training.out if line.startswith("digest "))
    alone = machine.start_program(sys.executable, COUNTING, go)
    assert alone.end() == 0
    assert digest in alone.out
