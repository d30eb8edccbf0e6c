"""The distribution as others get it: a wheel, in a folder, with the checkout out of sight."""

import os
import subprocess
import sys

import pytest
from tests.e2e.machine import ROOT, Machine

from gpurun.protocol.version import VERSION

IMPORTS = (
    "from gpurun import sdk; import gpurun.launcher, gpurun.coordinator, gpurun.protocol; "
    "print(sdk.__file__)"
)


@pytest.fixture
def installed(machine: Machine) -> str:
    """The folder in which the wheel is installed, without what it depends on."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels, target = f"{machine.folder}/wheels", f"{machine.folder}/installed"
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = os.listdir(wheels)
    install = ["install", "--no-deps", "--no-index", "--target", target, f"{wheels}/{wheel}"]
    subprocess.run([*pip, *install], check=True)
    return target


def test_a_wheel_has_all_four_parts_the_examples_and_the_command(
    machine: Machine, installed: str
) -> None:
    """Nothing of it comes from the checkout."""
    imported = machine.start_program(sys.executable, "-c", IMPORTS, PYTHONPATH=installed)
    assert imported.end() == 0, imported.said
    assert imported.out == [f"{installed}/gpurun/sdk/__init__.py"]
    command = f"{installed}/bin/gpurun"
    version = machine.start_program(command, "--version", PYTHONPATH=installed)
    assert (version.end(), version.out) == (0, [f"gpurun {VERSION}"]), version.said
    job = machine.start_program(command, "-q", "--mem=1GiB", "--", "echo", "it runs",
                                PYTHONPATH=installed)  # fmt: skip
    assert (job.end(), job.said) == (0, "it runs")
    with open(f"/proc/{machine.coordinator}/environ", encoding="utf-8") as environ:
        assert f"PYTHONPATH={installed}" in environ.read().split("\0")
    assert os.path.exists(f"{installed}/gpurun/examples/pytorch/train_digits.py")
