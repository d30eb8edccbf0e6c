"""GPURUN_DEVICES."""

import pytest

from gpurun.coordinator.gpus.choice import parse, read
from gpurun.coordinator.gpus.nvml import NvmlDevices
from gpurun.coordinator.gpus.simulated import SimulatedDevices
from gpurun.protocol.quantity import GIB


def test_the_driver_is_the_default() -> None:
    """Nothing and `nvml` mean the NVIDIA driver, which is not asked before it is opened."""
    assert isinstance(parse("", "file"), NvmlDevices)
    assert isinstance(parse("nvml", "file"), NvmlDevices)


@pytest.mark.parametrize(
    ("text", "count", "size"),
    [("sim:24GiB", 1, 24 * GIB), ("sim:2x16G", 2, 16 * GIB), ("SIM:1x512MiB", 1, GIB // 2)],
)
def test_simulated_devices_have_a_number_and_a_size(text: str, count: int, size: int) -> None:
    """Sizes are read as everywhere; a device is named after its size."""
    devices = parse(text, "/nonexistent/simulation.json")
    assert isinstance(devices, SimulatedDevices)
    assert [device.total for device in devices.sample(())] == [size] * count


@pytest.mark.parametrize(
    "text", ["cuda", "sim", "sim:", "sim:0x24GiB", "sim:24", "sim:x24GiB", "sim:2x24xGiB", "sim:2x"]
)
def test_what_is_malformed_is_said_in_one_line(text: str) -> None:
    """The line shows what was given and a form that works."""
    with pytest.raises(ValueError, match="GPURUN_DEVICES") as error:
        parse(text, "file")
    assert repr(text) in str(error.value)
    assert "GiB" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("sim:24GiB", "sim:1x24G", True),
        ("SIM:2x16G", "sim:2x16384MiB", True),
        ("", "nvml", True),
        ("sim:24GiB", "sim:2x24GiB", False),
        ("sim:24GiB", "sim:16GiB", False),
        ("nvml", "sim:24GiB", False),
    ],
)
def test_two_texts_are_compared_by_what_they_mean(one: str, other: str, equal: bool) -> None:
    """A launcher is not turned away for having written the same devices in another way."""
    assert (read(one) == read(other)) is equal
