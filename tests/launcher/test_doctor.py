"""`gpurun doctor`: a line for each thing that was looked at, and a cure for each problem."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.launcher.conftest import Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble

from gpurun.launcher.examination import device_files
from gpurun.protocol.finding import Finding
from gpurun.protocol.messages import AskDoctor, DoctorReply, Problem

Doctor = Callable[..., tuple[int, list[str]]]
HEALTHY_PYTHON = '{"sdk": "importable", "torch": ["2.6", "12.4"], "other": ""}'


def python(folder: str, says: str) -> dict[str, str]:
    """Put a python on the PATH that answers the probe with these words."""
    os.makedirs(f"{folder}/bin")
    Path(folder, "bin/python").write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    os.chmod(f"{folder}/bin/python", 0o700)
    return {"PATH": f"{folder}/bin:/usr/bin:/bin"}


@pytest.fixture
def doctor(start: Start, folder: str, environment: dict[str, str]) -> Doctor:
    """Run it with a healthy Python and simulated devices, unless the test says otherwise."""

    def examine(says: str = HEALTHY_PYTHON, **changes: str) -> tuple[int, list[str]]:
        sim = {"GPURUN_DEVICES": "sim:24GiB", "GPURUN_CONFIG": f"{folder}/config.toml"}
        Path(folder, "config.toml").touch()
        found = environment | sim | python(folder, says) | changes
        code, out, err = ended(start("doctor", env=found))
        assert err == ""
        return code, out.splitlines()

    return examine


def problems(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("problem ")]


def test_all_is_well_without_a_coordinator(doctor: Doctor, folder: str) -> None:
    """Every line is ok, the exit code 0, and nothing has been started or made."""
    code, lines = doctor()
    assert (code, problems(lines)) == (0, [])
    subjects = {line.split()[1] for line in lines}
    assert subjects == {"socket", "configuration", "driver", "GPU", "permissions", "gpurun", "sdk"}
    assert not os.path.exists(f"{folder}/run")


def test_a_running_coordinator_is_asked_what_it_sees(
    start: Start, folder: str, environment: dict[str, str], coordinator: CoordinatorDouble
) -> None:
    """Its findings are shown with their cures; one problem makes the exit code 1."""
    command = start("doctor", env=environment | python(folder, HEALTHY_PYTHON))
    coordinator.expect(AskDoctor)
    found = (Finding("driver", "570"), Finding("GPU 0", "it is lost", "restart the machine"))
    coordinator.send(DoctorReply(findings=found))
    code, out, _ = ended(command)
    assert code == 1
    assert "ok       driver         570" in out.splitlines()
    assert problems(out.splitlines()) == ["problem  GPU 0          it is lost; restart the machine"]


def test_a_coordinator_that_refuses_is_a_problem(
    start: Start, folder: str, environment: dict[str, str], coordinator: CoordinatorDouble
) -> None:
    """Such as one of another version; the rest is looked at all the same."""
    command = start("doctor", env=environment | python(folder, HEALTHY_PYTHON))
    coordinator.expect(AskDoctor)
    coordinator.send(Problem(text="another protocol; gpurun coordinator stop"))
    code, out, _ = ended(command)
    assert code == 1
    (line,) = problems(out.splitlines())
    assert line.endswith("another protocol; gpurun coordinator stop")
    assert "can import gpurun.sdk" in out


def test_no_driver_is_a_problem_with_both_ways_out(doctor: Doctor) -> None:
    """Where this machine has one there is nothing to find."""
    if os.path.exists("/dev/nvidiactl"):
        pytest.skip("this machine has a driver")
    code, lines = doctor(GPURUN_DEVICES="nvml")
    (line,) = problems(lines)
    assert code == 1
    assert "no NVIDIA driver found" in line
    assert "install the driver" in line


def test_a_bad_configuration_is_a_problem(doctor: Doctor, folder: str) -> None:
    """The coordinator would refuse to start with it."""
    Path(folder, "config.toml").write_text("[limits]\nmemry = 1\n", encoding="utf-8")
    code, lines = doctor()
    (line,) = problems(lines)
    assert code == 1
    assert "did you mean memory?" in line


def test_devices_that_are_not_known_are_a_problem(doctor: Doctor) -> None:
    code, lines = doctor(GPURUN_DEVICES="cuda")
    (line,) = problems(lines)
    assert code == 1
    assert "GPURUN_DEVICES='cuda' is not known; use nvml" in line


def test_a_socket_path_that_is_too_long_is_a_problem(doctor: Doctor) -> None:
    code, lines = doctor(GPURUN_RUNTIME_DIR=f"/tmp/{'x' * 120}")  # noqa: S108
    (line,) = problems(lines)
    assert code == 1
    assert "set GPURUN_RUNTIME_DIR to a shorter folder" in line


def test_a_runtime_folder_that_others_may_write_is_a_problem(doctor: Doctor, folder: str) -> None:
    os.mkdir(f"{folder}/run")
    os.chmod(f"{folder}/run", 0o777)  # noqa: S103 - that is the problem
    code, lines = doctor()
    (line,) = problems(lines)
    assert code == 1
    assert "chmod 700 it" in line


def test_a_runtime_folder_that_is_a_link_is_a_problem(doctor: Doctor, folder: str) -> None:
    """It leads to a folder, but a coordinator follows nobody's link."""
    os.symlink("/", f"{folder}/run")
    code, lines = doctor()
    (line,) = problems(lines)
    assert code == 1
    assert "run is not a folder; see who may write there" in line


def test_a_folder_that_is_a_file_is_a_problem(doctor: Doctor, folder: str) -> None:
    Path(folder, "state").write_text("")
    code, lines = doctor()
    (line,) = problems(lines)
    assert code == 1
    assert "set GPURUN_STATE_DIR to another folder" in line


def test_a_folder_in_which_nothing_can_be_made_is_a_problem(doctor: Doctor) -> None:
    """Whatever its permissions say: root may write anywhere, but not in /proc."""
    code, lines = doctor(GPURUN_STATE_DIR="/proc/gpurun")
    (line,) = problems(lines)
    assert code == 1
    assert "/proc cannot be written" in line


def test_the_configuration_is_read_though_a_coordinator_runs(
    start: Start, folder: str, environment: dict[str, str], coordinator: CoordinatorDouble
) -> None:
    """The next one would not start."""
    Path(folder, "config.toml").write_text("[limits]\nmemroy = 1\n", encoding="utf-8")
    config = {"GPURUN_CONFIG": f"{folder}/config.toml"}
    command = start("doctor", env=environment | python(folder, HEALTHY_PYTHON) | config)
    coordinator.expect(AskDoctor)
    coordinator.send(DoctorReply(findings=()))
    code, out, _ = ended(command)
    (line,) = problems(out.splitlines())
    assert code == 1
    assert "did you mean memory?" in line


def test_a_device_file_that_is_closed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the driver's control file and its GPUs are looked at."""
    for name in ("nvidiactl", "nvidia0", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    monkeypatch.setattr(os, "access", lambda path, _: not path.endswith("nvidia0"))
    closed, usable = device_files(str(tmp_path))
    assert closed.text == f"{tmp_path}/nvidia0 is closed to you"
    assert closed.cure == "join the group that it belongs to (ls -l shows it)"
    assert (usable.text, usable.cure) == (f"{tmp_path}/nvidiactl can be used", "")


@pytest.mark.parametrize(
    ("says", "words", "cure"),
    [
        (
            '{"sdk": {"error": "no gpurun"}, "torch": ["2.6", "12.4"], "other": ""}',
            "cannot import gpurun.sdk (no gpurun)",
            "-m pip install gpurun-scheduler",
        ),
        (
            '{"sdk": "importable", "torch": {"error": "no torch"}, "other": ""}',
            "cannot import torch (no torch)",
            "-m pip install torch",
        ),
        (
            '{"sdk": "importable", "torch": ["2.6", "12.4"], "other": "0.3"}',
            "another distribution named gpurun (0.3)",
            "pip uninstall gpurun",
        ),
        ("no JSON", "does not run", "activate another environment"),
    ],
)
def test_what_is_wrong_with_the_users_python_has_its_cure(
    doctor: Doctor, says: str, words: str, cure: str
) -> None:
    code, lines = doctor(says)
    (line,) = problems(lines)
    assert code == 1
    assert words in line
    assert cure in line


def test_a_torch_without_cuda_is_a_problem_on_real_devices_only(
    start: Start, folder: str, environment: dict[str, str], coordinator: CoordinatorDouble
) -> None:
    """On simulated ones, however they are written, it computes on the processor."""
    says = '{"sdk": "importable", "torch": ["2.6", ""], "other": ""}'
    found = environment | python(folder, says)
    for devices, expected in (("nvml", 1), ("sim:24GiB", 0), ("SIM:24GiB", 0)):
        command = start("doctor", env=found | {"GPURUN_DEVICES": devices})
        coordinator.expect(AskDoctor)
        coordinator.send(DoctorReply(findings=()))
        code, out, _ = ended(command)
        assert (code, "install a CUDA build" in out) == (expected, bool(expected))


def test_no_python_on_the_path_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    code, lines = doctor(PATH=str(tmp_path))
    (line,) = problems(lines)
    assert code == 1
    assert "no python on your PATH; activate an environment" in line
