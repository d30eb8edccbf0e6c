"""A training that holds a device's memory parks while a light task runs in it."""

import os
import signal
from collections.abc import Iterator

import pytest
from tests.coordinator.gpus.scripts import FIRST, GIB, gpu
from tests.e2e.counting import COUNTING, ends_as_if_alone
from tests.e2e.machine import Machine, Running
from tests.e2e.nvml import NvmlMachine

LIGHT = ("--priority=high", "--mem=12GiB", "--util=50", "--time=5s")


def started(machine: Machine, *options: str) -> tuple[Running, str]:
    """A training that can be paused, and the file that lets it end."""
    go = f"{machine.folder}/go"
    training = machine.start("--mem=16GiB", "--util=80", *options, COUNTING, go)
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    machine.wait_until(lambda: machine.job(1)["pausable"], alive=[training])
    return training, go


def test_a_light_task_runs_in_its_memory_and_it_goes_on_in_the_same_process(
    machine: Machine,
) -> None:
    """Its checkpoint comes on disk as well."""
    training, go = started(machine)
    pid = machine.job(1)["pid"]
    light = machine.run(*LIGHT, "--", "echo", "x")
    assert (light.returncode, light.stdout) == (0, "x")
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[training])
    found = machine.job(1)
    shown = (found["state"], found["pid"], found["pauses"], found["attempt"])
    assert shown == ("running", pid, 1, 1)
    machine.wait_until(lambda: machine.count(1, "durable") == 1, alive=[training])
    assert training.says("job 1 paused for job 2 (echo)")
    ends_as_if_alone(machine, training, go)


@pytest.fixture
def nvml() -> Iterator[NvmlMachine]:
    """One GPU of 24 GiB behind the scripted driver."""
    machine = NvmlMachine("[monitor]\ninterval = 0.1\n[pause]\nmin_run = 0\n")
    machine.plays(gpu(FIRST))
    yield machine
    machine.close()


def test_pitfall_07_where_the_driver_shows_that_it_keeps_its_memory_it_leaves_altogether(
    nvml: NvmlMachine,
) -> None:
    """Its word alone starts nobody; it is spawned again from its checkpoint."""
    training, go = started(nvml)
    holds = gpu(FIRST, f"compute {nvml.job(1)['pid']} {16 * GIB}", used=16)
    nvml.plays(holds)
    light = nvml.start(*LIGHT, "--", "echo", "x")
    nvml.wait_until(lambda: nvml.count(1, "parked is not enough") == 1, alive=[training, light])
    assert nvml.count(2, "granted") == 0
    nvml.wait_until(lambda: nvml.count(1, "tree ended") == 1, alive=[training, light])
    nvml.plays(gpu(FIRST))
    assert light.end() == 0
    nvml.wait_until(lambda: nvml.count(1, "resumed") == 1, alive=[training])
    assert nvml.job(1)["attempt"] == 2
    ends_as_if_alone(nvml, training, go)


def test_a_killed_coordinator_is_started_again_by_the_launcher_of_one_that_is_parked(
    machine: Machine,
) -> None:
    """Nobody is ended, the light task keeps its memory, and the training goes on after it."""
    training, go = started(machine)
    light = machine.start_gated("--priority=high", mem="12GiB")
    machine.wait_until(lambda: machine.count(1, "durable") == 1, alive=[training, light])
    machine.kill_coordinator()
    machine.wait_until(lambda: machine.count(1, "coordinator restarted") == 1, alive=[light])
    assert machine.job(1)["state"] == "paused"
    machine.open_gate()
    assert light.end() == 0
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[training])
    assert machine.job(1)["attempt"] == 1
    ends_as_if_alone(machine, training, go)


def test_one_that_is_killed_while_it_is_parked_has_failed(machine: Machine) -> None:
    """The light task goes on, and the coordinator with it."""
    training, _ = started(machine)
    light = machine.start_gated("--priority=high", mem="12GiB")
    machine.wait_until(lambda: machine.count(1, "durable") == 1, alive=[training, light])
    pid = machine.coordinator
    os.kill(machine.job(1)["pid"], signal.SIGKILL)
    assert training.end() == 128 + signal.SIGKILL
    assert training.says("gpurun retry 1 goes on from its last checkpoint")
    machine.open_gate()
    assert light.end() == 0
    assert machine.coordinator == pid
