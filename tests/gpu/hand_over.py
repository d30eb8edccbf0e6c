"""Checks of whole jobs: a training on the device parks for a light task, exits, and ends as alone.

Every program has a process of its own; this one only looks.
"""

import os
import sys

from tests.e2e.machine import Machine, Running
from tests.gpu.device import Device

TRAINING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "training.py")
CONFIG = "[pause]\nmin_run = 0\n[monitor]\ninterval = 0.2\n"
MOST, MUCH = "60%", "50%"
"""What the training and the light task reserve: they do not fit side by side."""
LONG = 300.0
"""Seconds in which a training without a pause is over."""


def a_light_task_is_admitted_in_the_middle_and_the_training_ends_as_if_alone(
    device: Device,
) -> None:
    """By park and then by exit: each time its memory is seen freed, and not one bit differs."""
    machine = Machine(device.devices, CONFIG)
    try:
        _parks_and_exits(machine, device)
    finally:
        machine.close()


def _parks_and_exits(machine: Machine, device: Device) -> None:
    words = (TRAINING, f"{machine.folder}/go", device.kind, str(device.state))
    idle = device.used(machine)
    training = machine.start(f"--mem={MOST}", "--util=80", "--gpu=0", *words)
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    machine.wait_until(lambda: bool(machine.job(1)["pausable"]), alive=[training])
    holds = device.used(machine)
    assert holds - idle >= device.state, (idle, holds)

    light = machine.start_gated("--priority=high", "--time=5s", mem=MUCH)
    assert machine.state_of(1) == "paused", training.said
    _seen_free(machine, device, holds, [training, light])
    machine.open_gate()
    assert light.end() == 0, light.said
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[training])
    machine.wait_until(lambda: device.used(machine) >= idle + device.state, alive=[training])
    assert machine.job(1)["attempt"] == 1

    assert machine.run("pause", "1").returncode == 0
    _seen_free(machine, device, holds, [training])
    assert machine.run("resume", "1").returncode == 0
    machine.wait_until(lambda: machine.count(1, "resumed") == 2, alive=[training])
    assert machine.job(1)["attempt"] == 2
    _ends_as_if_alone(machine, training, words)


def _seen_free(machine: Machine, device: Device, holds: int, alive: list[Running]) -> None:
    """Gradients leave with the state; what may stay are the context and the allocator's rest."""
    free = device.state - device.slack
    machine.wait_until(lambda: holds - device.used(machine) >= free, alive=alive)


def _ends_as_if_alone(machine: Machine, training: Running, words: tuple[str, ...]) -> None:
    machine.write_script("go", "")
    alone = machine.start_program(sys.executable, *words)
    assert training.end(LONG) == 0, training.said
    (digest,) = (line for line in training.out if line.startswith("digest "))
    assert alone.end(LONG) == 0, alone.said
    assert digest in alone.out


CHECKS = (a_light_task_is_admitted_in_the_middle_and_the_training_ends_as_if_alone,)
