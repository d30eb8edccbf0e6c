"""A real coordinator on the scripted driver: what breaks while it runs, and what goes on."""

import os
import signal
from collections.abc import Iterator

import pytest
from tests.coordinator.gpus.scripts import FIRST, GIB, SECOND, gpu, mig
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


def test_a_gpu_that_is_lost_from_the_start_comes_with_its_name(nvml: NvmlMachine) -> None:
    """Until it answers a place holder stands for it, and no longer."""
    nvml.plays(gpu(FIRST, "lost 15"), gpu(SECOND))
    assert [one["uuid"] for one in nvml.status()["devices"]] == ["GPU-unknown-0", SECOND]
    nvml.plays(gpu(FIRST), gpu(SECOND))
    nvml.wait_until(lambda: nvml.device(SECOND)["health"] == "ok" and not strangers(nvml))
    assert [one["uuid"] for one in nvml.status()["devices"]] == [FIRST, SECOND]


def strangers(nvml: NvmlMachine) -> set[str]:
    """Devices that are neither."""
    return {one["uuid"] for one in nvml.status()["devices"]} - {FIRST, SECOND}


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


def test_a_mig_device_takes_a_job_by_its_own_name(nvml: NvmlMachine) -> None:
    """Two of 10 GiB under one GPU: the second job of 8 GiB goes to the second."""
    nvml.plays(gpu(FIRST), mig("MIG-1"), mig("MIG-2"))
    show = ("--mem=8GiB", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; exec sleep 1000")
    first, second = nvml.start(*show), nvml.start(*show)
    nvml.wait_until(lambda: bool(first.out and second.out), alive=[first, second])
    assert sorted(first.out + second.out) == ["MIG-1", "MIG-2"]
    assert {device["uuid"] for device in nvml.status()["devices"]} == {"MIG-1", "MIG-2"}


def test_a_process_list_that_grows_is_read_again(nvml: NvmlMachine) -> None:
    """Between the probe for its size and the reading; the device stays well."""
    pids = [nvml.start_program("sleep", "1000").process.pid for _ in range(8)]
    lists = (f"compute {pid} {GIB}" for pid in pids)
    nvml.plays(gpu(FIRST, "outgrow 2", *lists, used=8), gpu(SECOND))
    nvml.wait_until(lambda: nvml.run("status").returncode == 0)
    nvml.wait_until(lambda: len(nvml.device(FIRST)["processes"]) == 8)
    found = nvml.device(FIRST)
    assert (found["health"], found["memory"]["external"]) == ("ok", 8 * GIB)
    assert {one["command"] for one in found["processes"]} == {"sleep 1000"}
    assert {one["job"] for one in found["processes"]} == {None}


def test_memory_that_may_not_be_read_takes_no_work_until_it_may(nvml: NvmlMachine) -> None:
    """Unknown is not free."""
    nvml.plays(gpu(FIRST, "memory_code 4"))
    waiting = nvml.start("--mem=4GiB", "--", "true")
    nvml.waits(waiting, "GPU 0")
    assert nvml.count(1, "granted") == 0
    nvml.plays(gpu(FIRST))
    assert waiting.end() == 0


def test_what_survives_a_job_and_its_launcher_is_charged_until_it_is_gone(
    nvml: NvmlMachine,
) -> None:
    """In a session of its own, with nothing in /proc that tells whose it was."""
    job = nvml.hold_tree()
    main, survivor = nvml.job_pids()[0], int(job.out[0])
    nvml.plays(gpu(FIRST, f"compute {survivor} {GIB}", used=1), gpu(SECOND))
    nvml.wait_until(lambda: [p["job"] for p in nvml.device(FIRST)["processes"]] == [1])
    job.process.kill()
    nvml.wait_until(lambda: nvml.count(1, "launcher lost") == 1)
    os.kill(main, signal.SIGKILL)
    nvml.wait_until(lambda: nvml.state_of(1) == "lost")
    nvml.run("--mem=1GiB", "--", "true")  # several looks later
    assert [p["job"] for p in nvml.device(FIRST)["processes"]] == [1]
    assert nvml.device(FIRST)["memory"]["reserved"] == 4 * GIB
    os.kill(survivor, signal.SIGKILL)
    nvml.plays(gpu(FIRST), gpu(SECOND))
    nvml.wait_until(lambda: nvml.device(FIRST)["memory"]["reserved"] == 0)
