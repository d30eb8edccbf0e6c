"""Inside a job the command runs at once in the job's own reservation."""

import os
import subprocess

import pytest
from tests.launcher.conftest import Start, ended, inside_job
from tests.launcher.coordinator_double import CoordinatorDouble

from gpurun.protocol.messages import Done, Resume


def test_a_command_inside_a_job_becomes_the_command_and_asks_nobody(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    inside = environment | inside_job(os.getpid()) | {"CUDA_VISIBLE_DEVICES": "GPU-a"}
    command = start("sh", "-c", "echo $$ $CUDA_VISIBLE_DEVICES; exit 4", env=inside)
    assert ended(command) == (
        4,
        f"{command.pid} GPU-a\n",
        "gpurun: inside job 3: runs at once in its reservation\n",
    )
    assert not os.path.exists(f"{folder}/run")


def test_a_verb_inside_a_job_never_starts_a_coordinator(
    start: Start, folder: str, environment: dict[str, str]
) -> None:
    inside = inside_job(os.getpid()) | {"GPURUN_SOCKET": f"{folder}/gone.sock"}
    code, _, err = ended(start("status", env=environment | inside))
    assert code == 125
    assert err == (
        "gpurun: error: the coordinator that started job 3 does not run now; try again later\n"
    )
    assert not os.path.exists(f"{folder}/run")


def test_options_that_say_nothing_inside_a_job_are_named(
    start: Start, environment: dict[str, str]
) -> None:
    words = ("--mem", "6GiB", "--priority=high", "true", "--util", "40")
    err = ended(start(*words, env=environment | inside_job(os.getpid())))[2]
    assert err == (
        "gpurun: inside job 3: runs at once in its reservation; without --priority, --mem\n"
    )


@pytest.fixture
def stale() -> dict[str, str]:
    """What a program finds that has outlived its job, as a tmux server does."""
    with subprocess.Popen(["sleep", "60"]) as launcher:
        found = inside_job(launcher.pid)
        launcher.kill()
    return found | {"GPURUN_SOCKET": "/gone.sock", "GPURUN_RESUME": "/gone"}


def test_the_environment_of_an_ended_job_admits_nothing(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str], stale: dict[str, str]
) -> None:
    """Not that of a launcher that is gone, of a pid used again, or of nobody."""
    here = {"GPURUN_LAUNCHER": f"{os.getpid()}:1"}
    for changes in ({}, here, {"GPURUN_LAUNCHER": ""}, {"GPURUN_LAUNCHER": "x"}):
        command = start("env", env=environment | stale | changes)
        coordinator.admit()
        coordinator.end()
        code, out, _ = ended(command)
        seen = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        assert (code, seen["GPURUN_JOB"], seen["GPURUN_SOCKET"]) == (0, "1", coordinator.path)
        assert seen["GPURUN_LAUNCHER"].startswith(f"{command.pid}:")
        assert "GPURUN_RESUME" not in seen


def test_a_question_from_an_ended_job_goes_to_the_users_own_coordinator(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str], stale: dict[str, str]
) -> None:
    command = start("resume", "3", env=environment | stale)
    coordinator.expect(Resume)
    coordinator.send(Done(job=3, text="job 3 goes on"))
    assert ended(command) == (0, "job 3 goes on\n", "")
