"""`gpurun doctor` on the scripted driver, with a coordinator and without one."""

from collections.abc import Iterator

import pytest
from tests.coordinator.gpus.scripts import FIRST, SECOND, gpu
from tests.e2e.machine import Completed
from tests.e2e.nvml import NvmlMachine, remapped

RUNNING = pytest.mark.parametrize("running", [False, True], ids=["no coordinator", "coordinator"])


@pytest.fixture
def nvml() -> Iterator[NvmlMachine]:
    """Two GPUs of 24 GiB."""
    machine = NvmlMachine()
    machine.plays(gpu(FIRST), gpu(SECOND))
    yield machine
    machine.close()


def examined(nvml: NvmlMachine, *, running: bool) -> Completed:
    """What it says, having started a coordinator or none."""
    if running and not nvml.coordinator:
        assert nvml.run("coordinator", "start").returncode == 0
    found = nvml.run("doctor")
    assert bool(nvml.coordinator) is running
    assert found.stderr == ""
    return found


def problems(found: Completed) -> list[str]:
    """Lines of what is wrong; a PyTorch without CUDA is, on machines that test."""
    lines = [line for line in found.stdout.splitlines() if line.startswith("problem ")]
    assert found.returncode == (1 if lines else 0)
    return [line for line in lines if "built without CUDA" not in line]


@RUNNING
def test_what_works_is_said(nvml: NvmlMachine, running: bool) -> None:
    """Driver, both devices, socket and folders."""
    found = examined(nvml, running=running)
    assert problems(found) == []
    for words in ("NVIDIA driver 570.0", FIRST, SECOND, "24.0 GiB of 24.0 GiB free"):
        assert words in found.stdout


@RUNNING
def test_a_lost_gpu_is_one_problem(nvml: NvmlMachine, running: bool) -> None:
    """The other is well; the cure is said."""
    nvml.plays(gpu(FIRST), gpu(SECOND, "lost 15"))
    (line,) = problems(examined(nvml, running=running))
    assert line.startswith("problem  GPU 1 ")
    assert line.endswith("; restart the machine")


@RUNNING
@pytest.mark.parametrize(
    ("code", "words"), [(18, "restart the machine, or reload"), (9, "install the driver")]
)
def test_a_driver_that_cannot_be_opened_has_its_cure(
    nvml: NvmlMachine, running: bool, code: int, words: str
) -> None:
    nvml.plays(f"init {code}")
    (line,) = problems(examined(nvml, running=running))
    assert line.startswith("problem  driver ")
    assert words in line


def test_an_update_under_a_coordinator_is_a_problem(nvml: NvmlMachine) -> None:
    """Which a new process, with the new library, would not notice."""
    assert problems(examined(nvml, running=True)) == []
    remapped(nvml, "575.51.02")
    nvml.wait_until(lambda: nvml.device(FIRST)["health"] != "ok")
    lines = problems(examined(nvml, running=True))
    assert len(lines) == 2
    assert all("; restart the machine, or reload" in line for line in lines)


def test_a_driver_that_hangs_is_a_problem(nvml: NvmlMachine) -> None:
    """The coordinator says so; it has not been seen lately."""
    assert problems(examined(nvml, running=True)) == []
    nvml.plays("hang nvmlDeviceGetMemoryInfo", gpu(FIRST), gpu(SECOND))
    nvml.wait_until(lambda: nvml.device(FIRST)["health"] == "stale")
    lines = problems(examined(nvml, running=True))
    assert all("has not been seen lately" in line or "driver" in line for line in lines)
    assert len(lines) >= 2
    nvml.plays(gpu(FIRST), gpu(SECOND))


def test_what_a_person_should_know_is_no_problem(nvml: NvmlMachine) -> None:
    """Such as persistence mode that is off."""
    nvml.plays(gpu(FIRST, "persistence 0"))
    found = examined(nvml, running=False)
    assert problems(found) == []
    assert "persistence mode is off" in found.stdout
