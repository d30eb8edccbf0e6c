"""A real coordinator on the scripted driver: what breaks while it runs, and what goes on."""

from collections.abc import Iterator

import pytest
from tests.coordinator.gpus.scripts import FIRST, SECOND, gpu
from tests.e2e.machine import one_error
from tests.e2e.nvml import NvmlMachine, remapped


@pytest.fixture
def nvml() -> Iterator[NvmlMachine]:
    """Two GPUs of 24 GiB."""
    machine = NvmlMachine()
    machine.plays(gpu(FIRST), gpu(SECOND))
    yield machine
    machine.close()


def test_a_lost_gpu_is_set_aside_and_the_other_goes_on(nvml: NvmlMachine) -> None:
    """With both lost a job waits and says why; it starts on the first that comes back."""
    nvml.run("--mem=4GiB", "--", "true")
    nvml.plays(gpu(FIRST, "lost 15"), gpu(SECOND))
    nvml.wait_until(lambda: "GPU is lost" in nvml.device(FIRST)["health"])
    other = nvml.run("--mem=4GiB", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert other.stdout == SECOND
    nvml.plays(gpu(FIRST, "lost 15"), gpu(SECOND, "lost 16"))
    nvml.wait_until(lambda: "it must be reset" in nvml.device(SECOND)["health"])
    waiting = nvml.start("--mem=4GiB", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    nvml.waits(waiting, "GPU 0 takes no work", "fallen off the bus")
    nvml.plays(gpu(FIRST), gpu(SECOND, "lost 16"))
    assert waiting.end() == 0
    assert waiting.out == [FIRST]


def test_a_driver_that_hangs_admits_nothing_until_it_answers(nvml: NvmlMachine) -> None:
    """Its samples go stale; running jobs go on, and all is well when it answers again."""
    running = nvml.hold("--mem=4GiB")
    nvml.plays("hang nvmlDeviceGetMemoryInfo", gpu(FIRST), gpu(SECOND))
    nvml.wait_until(lambda: nvml.device(FIRST)["health"] == "stale")
    waiting = nvml.start("--mem=4GiB", "--", "true")
    nvml.waits(waiting, "has not been seen lately")
    assert nvml.run("--no-wait", "--mem=4GiB", "--", "true").returncode == 75
    assert running.process.poll() is None
    nvml.plays(gpu(FIRST), gpu(SECOND))
    assert waiting.end() == 0
    assert nvml.device(FIRST)["health"] == "ok"


def test_an_updated_driver_admits_nothing_and_says_what_to_do(nvml: NvmlMachine) -> None:
    """The mapped library still looks healthy; what the next program would map is not."""
    running = nvml.hold("--mem=4GiB")
    remapped(nvml, "575.51.02")
    nvml.wait_until(lambda: "was updated (to 575.51.02)" in nvml.device(FIRST)["health"])
    waiting = nvml.start("--mem=4GiB", "--", "true")
    nvml.waits(waiting, "restart the machine, or reload the nvidia kernel modules")
    assert running.process.poll() is None


def test_a_mismatch_from_the_start_is_said_and_tried_again(nvml: NvmlMachine) -> None:
    """Until the driver is whole a job is refused in words; the daemon finds out by itself."""
    nvml.plays("init 18")
    refused = nvml.run("--mem=4GiB", "--", "true")
    assert refused.returncode == 125
    assert "the NVIDIA driver was updated" in one_error(refused.stderr)
    assert "restart the machine" in refused.stderr
    nvml.plays(gpu(FIRST))
    nvml.wait_until(lambda: bool(nvml.status()["devices"]))
    assert nvml.run("--mem=4GiB", "--", "true").returncode == 0


def test_without_a_library_a_job_is_told_both_ways_out(nvml: NvmlMachine) -> None:
    """Install the driver, or simulate."""
    nvml.library.unlink()
    refused = nvml.run("--mem=4GiB", "--", "true")
    assert refused.returncode == 125
    assert "no NVIDIA driver found" in one_error(refused.stderr)
    assert "GPURUN_DEVICES=sim:24GiB" in refused.stderr


def test_a_device_with_an_unknown_xid_takes_no_work(nvml: NvmlMachine) -> None:
    """One that programs bring upon themselves is a line in the story of the job instead."""
    nvml.hold("--mem=4GiB", "--gpus=2")
    [pid] = nvml.job_pids()
    nvml.plays(gpu(FIRST, f"compute {pid} 1000"), gpu(SECOND))
    nvml.wait_until(lambda: bool(nvml.device(FIRST)["processes"]))
    nvml.plays(gpu(FIRST, f"compute {pid} 1000", "xid 1 31"), gpu(SECOND, "xid 1 79"))
    nvml.wait_until(lambda: "XID 79" in nvml.device(SECOND)["health"])
    assert nvml.device(FIRST)["health"] == "ok"
    details = [entry["detail"] for entry in nvml.story(1)]
    assert any("XID 31 on GPU 0" in detail for detail in details)
