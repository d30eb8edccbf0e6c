"""NVML through the real nvidia-ml-py, on a driver that plays a script."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.coordinator.gpus.helpers import Child, Driver, compiled, own

from gpurun.coordinator.core.sample import HEALTHY
from gpurun.protocol.quantity import GIB

FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"
ONE = f"gpu {FIRST} NVIDIA Test 24\nmemory {24 * GIB} {20 * GIB} {3 * GIB}\nutilization 40\n"
TWO = f"{ONE}gpu {SECOND} NVIDIA Test 16\nmemory {16 * GIB} {16 * GIB} 0\n"
NOT_SUPPORTED, NO_PERMISSION, NOT_LOADED, LOST, MISMATCH = 3, 4, 9, 15, 18


def opened(driver: Driver, script: str) -> Driver:
    """Open the devices of a script."""
    driver.plays(script)
    assert driver.ask("open") is None
    return driver


def problem(driver: Driver, script: str) -> str:
    """Give the one line that opening them raises."""
    driver.plays(script)
    text = driver.ask("open")["error"]
    assert isinstance(text, str)
    assert "\n" not in text
    return text


def test_a_device_is_what_the_driver_says(driver: Driver) -> None:
    """Room is the driver's own `free`, which leaves out what the driver keeps for itself."""
    first, second = opened(driver, TWO).sample()
    assert (first.index, first.uuid, first.name) == (0, FIRST, "NVIDIA Test 24")
    assert (first.total, first.free, first.utilization) == (24 * GIB, 20 * GIB, 0.4)
    assert (second.index, second.uuid, second.free) == (1, SECOND, 16 * GIB)
    assert first.health == second.health == HEALTHY
    assert first.processes == second.processes == ()


def test_processes_are_named_and_given_to_their_jobs(
    driver: Driver, child: Callable[..., Child]
) -> None:
    """A process of a job's tree carries the job; any other is foreign."""
    main, other = child(), child()
    script = f"{ONE}compute {main.pid} {2 * GIB}\ncompute {other.pid} {GIB}\n"
    root = own(7, main.pid)
    (device,) = opened(driver, script).sample([root])
    mine, foreign = device.processes
    assert (mine.pid, mine.start_time, mine.memory) == (main.pid, root.start_time, 2 * GIB)
    assert (mine.job, foreign.job) == (7, None)
    assert (mine.user, mine.command) == (foreign.user, "cat")
    assert mine.compute
    assert foreign.compute


def test_who_only_draws_does_not_compute(driver: Driver) -> None:
    """A process in both lists is one process that computes, and its memory counts once."""
    me = os.getpid()
    both = f"{ONE}compute {me} {GIB}\ngraphics {me} {GIB}\ngraphics 1 {2 * GIB}\n"
    (device,) = opened(driver, both).sample()
    assert {process.pid: process.compute for process in device.processes} == {me: True, 1: False}
    assert sum(process.memory or 0 for process in device.processes) == 3 * GIB


def test_a_process_that_has_just_ended_stays_on_the_list(driver: Driver) -> None:
    """What /proc does not know has no start time, and its memory still counts."""
    (device,) = opened(driver, f"{ONE}compute 4194399 {GIB}\n").sample()
    (process,) = device.processes
    assert (process.start_time, process.user, process.memory) == (0, None, GIB)


def test_unknown_is_never_zero(driver: Driver) -> None:
    """What the driver does not support or allow is None; the device answers all the same."""
    script = (
        f"gpu {FIRST} A\nmemory_code {NO_PERMISSION}\nutilization_code {NOT_SUPPORTED}\n"
        f"compute {os.getpid()} -1\n"
        f"gpu {SECOND} B\nmemory_code {NO_PERMISSION}\nutilization_code {NO_PERMISSION}\n"
        f"list_code {NOT_SUPPORTED}\n"
    )
    first, second = opened(driver, script).sample()
    assert (first.total, first.free, first.utilization) == (None, None, None)
    assert [process.memory for process in first.processes] == [None]
    assert (second.total, second.free, second.utilization) == (None, None, None)
    assert second.processes == ()
    assert (first.processes_known, second.processes_known) == (True, False)
    assert first.health == second.health == HEALTHY


def test_one_lost_gpu_is_one_lost_gpu(driver: Driver) -> None:
    """It keeps its name and says why it takes no work; the others go on, and so does it later."""
    opened(driver, TWO).sample()
    driver.plays(TWO.replace("utilization 40", f"lost {LOST}"))
    first, second = driver.sample()
    assert (first.uuid, first.name) == (FIRST, "NVIDIA Test 24")
    assert (first.total, first.free, first.utilization) == (None, None, None)
    assert "GPU is lost" in first.health
    assert (second.health, second.free) == (HEALTHY, 16 * GIB)
    driver.plays(TWO)
    assert [device.health for device in driver.sample()] == [HEALTHY, HEALTHY]


def test_a_gpu_that_is_lost_from_the_start_is_found_later(driver: Driver) -> None:
    """Until it answers it has a place holder for a UUID, which names nobody else."""
    lost = opened(driver, TWO.replace("utilization 40", f"lost {LOST}")).sample()
    assert [device.uuid for device in lost] == ["GPU-unknown-0", SECOND]
    driver.plays(TWO)
    assert [device.uuid for device in driver.sample()] == [FIRST, SECOND]


def test_a_list_that_grew_is_read_again(driver: Driver) -> None:
    """Processes that start between the two calls for a list are not an error."""
    script = f"{ONE}outgrow 2\n" + "".join(f"compute {pid} {GIB}\n" for pid in range(1, 9))
    (device,) = opened(driver, script).sample()
    assert device.health == HEALTHY
    assert [process.pid for process in device.processes] == list(range(1, 9))


def test_a_list_that_never_stops_growing_is_given_up(driver: Driver) -> None:
    """That device is set aside for the round; nothing loops for ever."""
    (device,) = opened(driver, f"{ONE}outgrow 1000\ncompute 1 {GIB}\n").sample()
    assert "Insufficient Size" in device.health


def test_an_older_driver_lists_its_processes_too(tmp_path: Path) -> None:
    """Where the third version of the lists is missing the second one answers."""
    old = Driver(compiled(tmp_path, "-DSECOND_VERSION"), tmp_path / "devices.txt")
    (device,) = opened(old, f"{ONE}compute {os.getpid()} {GIB}\n").sample()
    assert [(process.pid, process.memory) for process in device.processes] == [(os.getpid(), GIB)]
    old.end()


def test_nvml_is_opened_once_for_all_samples(driver: Driver) -> None:
    """Opening and closing is what costs."""
    opened(driver, TWO)
    for _ in range(3):
        driver.sample()
    assert driver.calls("nvmlInitWithFlags") == 1
    assert driver.calls("nvmlDeviceGetUUID") == 2
    assert driver.calls("nvmlShutdown") == 0


def test_closing_closes_once_and_opening_works_again(driver: Driver) -> None:
    """What is not open is not closed, and a restarted driver's devices are counted anew."""
    opened(driver, ONE)
    assert driver.ask("close") is None
    assert driver.ask("close") is None
    assert driver.calls("nvmlShutdown") == 1
    assert len(opened(driver, TWO).sample()) == 2


def test_without_a_library_the_cure_is_named(tmp_path: Path) -> None:
    """A machine with no driver is told of both ways out."""
    nowhere = Driver(tmp_path, tmp_path / "devices.txt")
    text = problem(nowhere, "")
    assert text.startswith("no NVIDIA driver found (")
    assert "install the driver" in text
    assert "GPURUN_DEVICES=sim:24GiB gpurun" in text
    nowhere.end()


def test_each_failure_to_open_has_its_own_cure(driver: Driver) -> None:
    """A mismatch wants a restart, a missing right wants the right, silence wants nvidia-smi."""
    assert "restart the machine" in problem(driver, f"init {MISMATCH}")
    assert "no NVIDIA driver found" in problem(driver, f"init {NOT_LOADED}")
    assert "/dev/nvidia" in problem(driver, f"init {NO_PERMISSION}")
    assert "see what nvidia-smi says" in problem(driver, "init 999")
    assert "lists no GPU" in problem(driver, "init 0")


def test_a_failed_open_leaves_nothing_open(driver: Driver) -> None:
    """What was opened before the failure is closed, and the next try is a fresh one."""
    problem(driver, "count_code 999")
    assert driver.calls("nvmlInitWithFlags") == driver.calls("nvmlShutdown") == 1
    assert len(opened(driver, ONE).sample()) == 1
