"""The rules of NVML that concern utilization and names, each by its number."""

import time

import pytest
from tests.coordinator.gpus.helpers import Driver
from tests.coordinator.gpus.scripts import FIRST, GIB, NOT_SUPPORTED, SECOND, gpu

from gpurun.coordinator.core.device import SETTLE, Device
from gpurun.coordinator.core.sample import DeviceSample, Reading

WINDOW = 10.0


def boottime() -> float:
    """The clock of samples."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def sample(*readings: Reading, utilization: float | None = 0.5) -> DeviceSample:
    """A look that found these new samples of the driver's."""
    return DeviceSample(
        index=0,
        uuid=FIRST,
        name="Test",
        total=GIB,
        free=GIB,
        utilization=utilization,
        readings=readings,
    )


def test_rule_04_the_drivers_own_samples_are_read_once(driver: Driver) -> None:
    """All that it keeps at first, oldest first, on our clock; then what is new."""
    (first,) = driver.starts(gpu(FIRST, "utilization 1", "ring 97 10")).sample()
    now = boottime()
    taken = [reading.taken for reading in first.readings]
    assert {reading.share for reading in first.readings} == {0.97}
    assert len(taken) == pytest.approx(60, abs=2)
    assert taken == sorted(taken)
    assert now - 10.5 < taken[0] < now - 9
    assert now - 1 < taken[-1] <= now
    (second,) = driver.sample()
    assert len(second.readings) < 10
    assert all(reading.taken > taken[-1] for reading in second.readings)


def test_rule_04_a_driver_that_keeps_none_is_asked_for_its_last(driver: Driver) -> None:
    """And is not asked for its ring again."""
    driver.starts(gpu(FIRST, "utilization 40", f"ring_code {NOT_SUPPORTED}"))
    for _ in range(3):
        (found,) = driver.sample()
        assert (found.utilization, found.readings) == (0.4, ())
    assert driver.calls("nvmlDeviceGetSamples") == 1


def test_rule_04_the_window_is_of_the_drivers_samples() -> None:
    """Each counts once and leaves when it is older than the window."""
    device = Device(sample(), 100.0)
    device.look(sample(Reading(99.0, 0.0), Reading(100.0, 1.0)), 100.0, WINDOW)
    assert device.window == 0.5
    device.look(sample(Reading(109.9, 1.0), utilization=0.0), 109.9, WINDOW)
    assert device.window == 1.0


def test_rule_04_samples_of_before_a_restart_do_not_enter_the_window() -> None:
    """They speak of what has ended, and each of up to a second before it."""
    device = Device(sample(), 100.0)
    device.restart_window(100.0)
    young = [Reading(100.0 + SETTLE * part, 1.0) for part in (-0.5, 0.0, 0.5, 0.99)]
    device.look(sample(*young), 101.0, WINDOW)
    assert device.window is None
    device.look(sample(Reading(100.0 + SETTLE, 0.2)), 101.2, WINDOW)
    assert device.window == 0.2


def test_rule_06_a_device_is_its_full_uuid(driver: Driver) -> None:
    """Its number may be another after the driver has been opened anew; its name is not."""
    first, second = driver.starts(gpu(FIRST, used=1), gpu(SECOND, used=2)).sample()
    assert [(s.index, s.uuid) for s in (first, second)] == [(0, FIRST), (1, SECOND)]
    driver.ask("close")
    swapped = driver.starts(gpu(SECOND, used=2), gpu(FIRST, used=1)).sample()
    found = {s.uuid: (s.index, (s.total or 0) - (s.free or 0)) for s in swapped}
    assert found == {FIRST: (1, GIB), SECOND: (0, 2 * GIB)}
