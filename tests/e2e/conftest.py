"""Each test has a machine of its own."""

from collections.abc import Callable, Iterator

import pytest
from tests.e2e.machine import Machine

MakeMachine = Callable[..., Machine]


@pytest.fixture
def make_machine() -> Iterator[MakeMachine]:
    """Make machines; whatever runs on them ends with the test."""
    made: list[Machine] = []

    def make(devices: str = "sim:24GiB", config: str = "") -> Machine:
        made.append(Machine(devices, config))
        return made[-1]

    yield make
    for machine in made:
        machine.close()


@pytest.fixture
def machine(make_machine: MakeMachine) -> Machine:
    """One simulated device of 24 GiB, and jobs that may be paused as soon as they are back."""
    return make_machine(config="[pause]\nmin_run = 0\n")
