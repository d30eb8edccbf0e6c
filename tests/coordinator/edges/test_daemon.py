"""The daemon as a real process, and a client that speaks the protocol to it."""

import os
import signal
from collections.abc import Callable

import pytest
from tests.coordinator.edges.parts import DEADLINE, Client, Coordinator, submission
from tests.coordinator.gpus.helpers import Child, wait_until

from gpurun.protocol import messages as m
from gpurun.protocol.quantity import GIB

Connect = Callable[[], Client]
Start = Callable[..., Child]


# --- starting and ending


def test_it_says_that_it_is_ready_and_then_it_is(
    coordinator: Coordinator, connect: Connect
) -> None:
    process = coordinator.start()
    client = connect()
    assert client.expect(m.Welcome).pid == process.pid
    (device,) = client.status().status.devices
    assert device.memory.total == 24 * GIB


def test_of_two_that_start_at_once_one_serves_and_the_other_ends_quietly(
    coordinator: Coordinator, connect: Connect
) -> None:
    both = [coordinator.launch(), coordinator.launch()]
    words = {coordinator.word(process): process for process in both}
    assert set(words) == {"ready\n", ""}
    assert words[""].wait(DEADLINE) == 0
    assert words[""].communicate()[1] == b""
    assert connect().expect(m.Welcome).pid == words["ready\n"].pid


def test_one_that_a_person_starts_beside_another_says_who_runs(coordinator: Coordinator) -> None:
    first = coordinator.start()
    said = coordinator.fails(ready=False)
    assert said.startswith("gpurun: error: ")
    assert f"runs already (pid {first.pid})" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_the_next_one_starts(
    coordinator: Coordinator, number: signal.Signals
) -> None:
    process = coordinator.start()
    process.send_signal(number)
    assert process.wait(DEADLINE) == 0
    assert not os.path.exists(coordinator.socket)
    coordinator.start()


def test_the_end_of_a_terminal_does_not_end_it(coordinator: Coordinator, connect: Connect) -> None:
    process = coordinator.start()
    process.send_signal(signal.SIGHUP)
    assert connect().status().status.coordinator.pid == process.pid


def test_a_signal_ends_it_and_running_jobs_are_left_alone(
    coordinator: Coordinator, connect: Connect, child: Start
) -> None:
    process, job = coordinator.start(), child()
    client = connect()
    client.start(client.submit("a"), job)
    process.terminate()
    assert process.wait(DEADLINE) == 0
    assert job.poll() is None


def test_it_ends_by_itself_when_it_has_known_no_job_for_a_while(
    coordinator: Coordinator, connect: Connect
) -> None:
    """A job that lives keeps it; the seconds count from its end."""
    process = coordinator.start("--idle-exit", "0.3")
    client = connect()
    job = client.submit("a")
    wait_until(lambda: client.status().status.coordinator.uptime > 0.8)
    assert process.poll() is None
    client.say(m.Leave(job=job))
    assert process.wait(DEADLINE) == 0


# --- what keeps it from starting


def test_devices_that_do_not_exist_are_named(coordinator: Coordinator) -> None:
    coordinator.environment = {**coordinator.environment, "GPURUN_DEVICES": "gpu"}
    assert "error: GPURUN_DEVICES='gpu' is not known; use nvml" in coordinator.fails()
    assert coordinator.fails(ready=False).startswith("gpurun: error: GPURUN_DEVICES='gpu'")


def test_a_configuration_that_cannot_be_used_is_named(
    coordinator: Coordinator, folder: str
) -> None:
    with open(f"{folder}/config.toml", "w", encoding="ascii") as file:
        file.write("[limit]\nmemory = 0.5\n")
    assert f"{folder}/config.toml: [limit] is not known; did you mean limits?" in (
        coordinator.fails()
    )


def test_a_socket_path_that_is_too_long_is_named(coordinator: Coordinator, folder: str) -> None:
    long = {"GPURUN_RUNTIME_DIR": f"{folder}/{'x' * 100}"}
    coordinator.environment = {**coordinator.environment, **long}
    assert "set GPURUN_RUNTIME_DIR to a shorter folder" in coordinator.fails()


def test_a_database_that_is_none_is_named_and_not_touched(coordinator: Coordinator) -> None:
    os.makedirs(coordinator.state)
    path = f"{coordinator.state}/jobs.sqlite"
    with open(path, "w", encoding="ascii") as file:
        file.write("my only copy\n" * 100)
    said = coordinator.fails()
    assert path in said
    assert "mend it or move it away" in said
    with open(path, encoding="ascii") as file:
        assert file.readline() == "my only copy\n"


@pytest.mark.parametrize("name", ["coordinator.lock", "coordinator.sock"])
def test_a_folder_in_the_place_of_a_file_is_named(coordinator: Coordinator, name: str) -> None:
    os.makedirs(f"{coordinator.runtime}/{name}", mode=0o700)
    os.chmod(coordinator.runtime, 0o700)
    assert f"{coordinator.runtime}/{name}" in coordinator.fails()


def test_with_no_driver_it_starts_and_refuses_work_with_the_cure(
    coordinator: Coordinator, connect: Connect
) -> None:
    """A job that needs no device runs all the same."""
    coordinator.environment = {
        **coordinator.environment,
        "GPURUN_DEVICES": "nvml",
        "LD_LIBRARY_PATH": coordinator.runtime,
        "CUDA_VISIBLE_DEVICES": "",
    }
    coordinator.start()
    client = connect()
    if client.status().status.devices:
        pytest.skip("this machine has a driver")
    problem = client.ask(submission("a"), m.Problem)
    assert problem.code == 125
    assert "GPURUN_DEVICES=sim:24GiB" in problem.text
    assert client.submit("b", gpus=0) == 1
