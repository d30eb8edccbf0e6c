"""The rules of NVML that concern the driver and what breaks, each by its number."""

import os
from pathlib import Path

import pytest
from tests.coordinator.gpus.helpers import Driver, compiled, own, wait_until
from tests.coordinator.gpus.scripts import (
    FIRST,
    GIB,
    LOST,
    MISMATCH,
    RESET_REQUIRED,
    SECOND,
    UNKNOWN,
    gpu,
)

from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.sample import HEALTHY
from gpurun.coordinator.gpus import library as module
from gpurun.coordinator.gpus.library import Library
from gpurun.coordinator.gpus.power import may_sleep
from gpurun.coordinator.gpus.xid import APPLICATION

TWO = gpu(FIRST) + gpu(SECOND)


def test_rule_07_one_init_for_the_daemons_life(driver: Driver) -> None:
    """To open and close is what costs; a round opens nothing."""
    driver.starts(TWO)
    for _ in range(5):
        driver.sample()
    assert driver.calls("nvmlInitWithFlags") == 1
    assert driver.calls("nvmlShutdown") == 0


@pytest.mark.parametrize(
    ("battery", "control", "status", "expected"),
    [
        (True, "auto", "active", True),
        (True, "auto", "suspended", True),
        (True, "on", "active", False),
        (False, "auto", "active", False),
    ],
)
def test_rule_07_a_laptops_gpu_may_sleep(
    tmp_path: Path, battery: bool, control: str, status: str, expected: bool
) -> None:
    """Where there is a battery and each NVIDIA GPU may be suspended; others do not matter."""
    device(tmp_path, "0000:01:00.0", "0x10de", "0x030200", control, status)
    device(tmp_path, "0000:01:00.1", "0x10de", "0x040300", "on", "active")  # its sound
    device(tmp_path, "0000:00:02.0", "0x8086", "0x030000", "on", "active")
    supplies = tmp_path / "supplies"
    (supplies / ("BAT0" if battery else "AC")).mkdir(parents=True)
    assert may_sleep(str(tmp_path / "pci"), str(supplies)) is expected


def test_rule_07_a_machine_without_nvidia_gpus_does_not_sleep(tmp_path: Path) -> None:
    (tmp_path / "BAT0").mkdir()
    assert not may_sleep(str(tmp_path / "nothing"), str(tmp_path))


def device(folder: Path, name: str, vendor: str, kind: str, control: str, status: str) -> None:
    """A PCI device as sysfs shows it."""
    power = folder / "pci" / name / "power"
    power.mkdir(parents=True)
    (power.parent / "vendor").write_text(f"{vendor}\n")
    (power.parent / "class").write_text(f"{kind}\n")
    (power / "control").write_text(f"{control}\n")
    (power / "runtime_status").write_text(f"{status}\n")


def test_rule_08_nothing_is_closed_under_a_call(driver: Driver) -> None:
    """To stop does not wait for a driver that hangs, and does not close it either."""
    driver.plays(f"hang nvmlDeviceGetMemoryInfo\n{TWO}")
    driver.ask("watch")
    wait_until(lambda: driver.calls("nvmlDeviceGetMemoryInfo") == 1)
    assert driver.ask("stop") is False
    assert driver.calls("nvmlShutdown") == 0
    driver.plays(TWO)
    wait_until(lambda: driver.calls("nvmlShutdown") == 1)
    assert (driver.recorded()[-1], driver.ask("stop")) == ("nvmlShutdown", True)


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetMemoryInfo"])
def test_rule_09_a_round_has_a_deadline(driver: Driver, call: str) -> None:
    """Whichever call hangs, opening included; when it comes back, all is well."""
    driver.plays(f"hang {call}\n{TWO}")
    driver.ask("watch")
    wait_until(lambda: bool(driver.ask("overdue")))
    driver.plays(TWO)
    wait_until(lambda: not driver.ask("overdue"))
    wait_until(lambda: bool(driver.ask("stop")))


@pytest.mark.parametrize("code", [LOST, RESET_REQUIRED, UNKNOWN])
def test_rule_10_one_lost_gpu_is_one_lost_gpu(driver: Driver, code: int) -> None:
    """It is set aside until it answers again, and says what to do; the other goes on."""
    driver.starts(TWO).sample()
    driver.plays(gpu(FIRST, f"lost {code}") + gpu(SECOND))
    lost, other = driver.sample()
    assert (lost.uuid, lost.total, other.health) == (FIRST, None, HEALTHY)
    assert not Device(lost, 0.0).healthy
    assert "; " in lost.health
    driver.plays(TWO)
    assert [one.health for one in driver.sample()] == [HEALTHY, HEALTHY]


def test_rule_11_a_mismatch_at_the_opening_wants_a_restart(driver: Driver) -> None:
    """Until then nothing is known of any device."""
    driver.plays(f"init {MISMATCH}")
    text = driver.ask("open")["error"]
    assert "restart the machine, or reload the nvidia kernel modules" in text


def test_rule_11_an_update_under_the_daemon_admits_nothing(tmp_path: Path) -> None:
    """The library that is mapped still answers; what the next program would map is another."""
    installed(tmp_path, "570.10.01")
    driver = Driver(tmp_path, tmp_path / "devices.txt").starts(TWO)
    assert [one.health for one in driver.sample()] == [HEALTHY, HEALTHY]
    installed(tmp_path, "575.20.02")
    for sample in driver.sample():
        assert "was updated (to 575.20.02)" in sample.health
        assert not Device(sample, 0.0).healthy
        assert Device(sample, 0.0).answers, "what has ended is still seen to be gone"
    driver.end()


def test_rule_11_a_removed_library_admits_nothing(tmp_path: Path) -> None:
    """So it looks in the middle of an update."""
    installed(tmp_path, "570.10.01")
    driver = Driver(tmp_path, tmp_path / "devices.txt").starts(TWO)
    driver.sample()
    (tmp_path / "libnvidia-ml.so.1").unlink()
    assert all("was updated" in sample.health for sample in driver.sample())
    driver.end()


def test_rule_11_the_same_version_installed_again_is_no_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on disk goes with what the kernel runs."""
    kernel = tmp_path / "version"
    kernel.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.10.01  Tue\n")
    path = installed(tmp_path, "570.10.01")
    monkeypatch.setattr(module, "_mapped", lambda: str(path))
    library = Library((str(tmp_path / "absent"), str(kernel)))
    assert library.update() == ""
    installed(tmp_path, "570.10.01")
    assert library.update() == ""
    installed(tmp_path, "575.20.02")
    assert "(to 575.20.02) and the kernel still runs the old one (570.10.01)" in library.update()


def installed(folder: Path, version: str) -> Path:
    """Put a version of the library where programs look for it, as a package manager does."""
    compiled(folder, name=f"libnvidia-ml.so.{version}.part")
    target = folder / f"libnvidia-ml.so.{version}"
    (folder / f"{target.name}.part").replace(target)
    link = folder / "link"
    link.symlink_to(target.name)
    link.replace(folder / "libnvidia-ml.so.1")
    return target


@pytest.mark.parametrize("number", sorted(APPLICATION))
def test_rule_12_a_programs_own_fault_is_noted(driver: Driver, number: int) -> None:
    """Once, on its GPU; that takes work as before."""
    driver.starts(TWO).sample()
    driver.plays(gpu(FIRST, f"xid 1 {number}") + gpu(SECOND))
    first, second = driver.sample()
    assert (first.faults, second.faults) == ((number,), ())
    assert first.health == second.health == HEALTHY
    assert driver.sample()[0].faults == ()


def test_rule_12_any_other_xid_sets_the_gpu_aside(driver: Driver) -> None:
    """For as long as the daemon lives: a reset is a person's to do and to tell."""
    driver.starts(TWO).sample()
    driver.plays(gpu(FIRST) + gpu(SECOND, "xid 1 79"))
    assert [one.health == HEALTHY for one in driver.sample()] == [True, False]
    driver.plays(TWO)
    first, second = driver.sample()
    assert "XID 79" in second.health
    assert "gpurun coordinator stop" in second.health
    assert second.total == 24 * GIB
    assert first.health == HEALTHY
    driver.ask("close")
    assert "XID 79" in driver.starts(TWO).sample()[1].health


def test_rule_12_what_is_said_of_a_gpu_after_it_was_lost_sets_it_aside(driver: Driver) -> None:
    """Its last event comes when it answers no more; that another is heard does not hide it."""
    driver.starts(TWO).sample()
    driver.plays(gpu(FIRST) + gpu(SECOND, f"lost {LOST}"))
    driver.sample()
    driver.plays(gpu(FIRST) + gpu(SECOND, f"lost {LOST}", "xid 1 79"))
    driver.sample()
    driver.plays(TWO)
    first, second = driver.sample()
    assert (first.health, "XID 79" in second.health) == (HEALTHY, True)


def test_rule_12_a_gpu_that_was_lost_is_heard_again(driver: Driver) -> None:
    """With its handle its events are gone, and both come back."""
    driver.starts(TWO).sample()
    driver.plays(gpu(FIRST, f"lost {LOST}") + gpu(SECOND))
    driver.sample()
    driver.plays(TWO)
    driver.sample()
    driver.plays(gpu(FIRST, "xid 1 31") + gpu(SECOND))
    assert driver.sample()[0].faults == (31,)


def test_rule_12_a_wait_that_fails_backs_off(driver: Driver) -> None:
    """It would fail at once, for ever; the devices are read all the same."""
    driver.starts(f"event_code {UNKNOWN}\n{TWO}")
    for _ in range(20):
        assert driver.sample()[0].health == HEALTHY
    assert driver.calls("nvmlEventSetWait_v2") == 1


def test_rule_20_a_round_asks_for_memory_samples_and_processes(driver: Driver) -> None:
    """What changes slowly is not asked in each, and PCIe throughput, which blocks, never."""
    driver.starts(gpu(FIRST, "ring 10 10", f"compute {os.getpid()} 1")).sample()
    before = len(driver.recorded())
    driver.sample([own(1, os.getpid())])
    assert set(driver.recorded()[before:]) == {
        "nvmlEventSetWait_v2",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetSamples",
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetProcessUtilization",
    }


SLOWDOWNS = {0x08: "hardware slowdown", 0x20: "heat", 0x40: "heat", 0x80: "power brake"}
UNTROUBLED = {"idle": 0x1, "application clocks": 0x2, "power cap": 0x4, "idle and slow": 0x9}


@pytest.mark.parametrize("bits", SLOWDOWNS)
def test_rule_20_no_new_load_on_a_gpu_that_is_slowed(driver: Driver, bits: int) -> None:
    """By its hardware or by heat; what runs on it goes on, and is seen to end."""
    (sample,) = driver.starts(gpu(FIRST, f"reasons {bits}")).sample()
    found = Device(sample, 0.0)
    assert SLOWDOWNS[bits] in sample.health
    assert (found.healthy, found.answers) == (False, True)


@pytest.mark.parametrize("bits", UNTROUBLED.values(), ids=UNTROUBLED)
def test_rule_20_idle_is_not_throttling(driver: Driver, bits: int) -> None:
    """Nor is a power cap, under which GPUs always run."""
    assert driver.starts(gpu(FIRST, f"reasons {bits}")).sample()[0].health == HEALTHY


def test_rule_20_persistence_mode_that_is_off_is_said(driver: Driver) -> None:
    """The first program waits for the driver then."""
    on, off = driver.starts(gpu(FIRST) + gpu(SECOND, "persistence 0")).sample()
    assert on.notes == ()
    assert any("persistence mode is off" in note for note in off.notes)
