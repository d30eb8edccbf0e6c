"""A coordinator may die at any time: no running job notices, and no waiting one is lost."""

import os
import subprocess
from collections.abc import Iterator

import msgspec
import pytest
from tests.launcher.conftest import Start, ended, state_of, wait_until
from tests.launcher.coordinator_double import CoordinatorDouble, grant, waiting

from gpurun.protocol.job import Held
from gpurun.protocol.messages import (
    Accepted,
    Ended,
    EndTree,
    Exited,
    Paused,
    Spawned,
    Submit,
    Terminate,
)


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """The process that the coordinator says it is, to be killed by the test."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_running_job_is_brought_to_the_next_coordinator(
    start: Start,
    coordinator: CoordinatorDouble,
    process: "subprocess.Popen[bytes]",
    environment: dict[str, str],
) -> None:
    command = start("sh", "-c", "read line; exit 5", stdin=-1)
    coordinator.pid = process.pid
    submit = coordinator.admit(attempt=2)
    spawned = coordinator.expect(Spawned)
    coordinator.close()
    process.kill()
    successor = CoordinatorDouble(environment["GPURUN_RUNTIME_DIR"])
    again = successor.expect(Submit)
    assert again.uuid == submit.uuid
    assert again.held == Held(job=1, attempt=2, pid=spawned.pid, start_time=spawned.start_time)
    successor.send(Accepted(job=1))
    assert command.stdin
    command.stdin.write("\n")
    command.stdin.flush()
    assert successor.end() == Exited(job=1, attempt=2, code=5)
    assert ended(command)[0] == 5
    successor.close()


def test_a_waiting_job_is_submitted_again_under_the_same_uuid(
    start: Start, coordinator: CoordinatorDouble, process: "subprocess.Popen[bytes]"
) -> None:
    command = start("true")
    coordinator.pid = process.pid
    submit = coordinator.accept()
    coordinator.send(waiting("needs more"))
    coordinator.pid = os.getpid()
    process.kill()
    assert coordinator.admit() == submit
    assert coordinator.end().code == 0
    assert ended(command)[0] == 0


def test_a_coordinator_that_the_job_has_started_is_not_ended_with_the_job(
    start: Start,
    coordinator: CoordinatorDouble,
    process: "subprocess.Popen[bytes]",
    folder: str,
) -> None:
    """It comes from the job's tree, and others depend on it."""
    coordinator.pid = process.pid
    start("sh", "-c", "sleep 60 & echo $! > pid.new; mv pid.new pid; wait")
    coordinator.admit()
    coordinator.expect(Spawned)
    wait_until(lambda: os.path.exists(f"{folder}/pid"))
    with open(f"{folder}/pid", encoding="utf-8") as file:
        coordinator.pid = int(file.read())
    process.kill()
    coordinator.accept()
    coordinator.send(Terminate(job=1, grace=0.0))
    exited = coordinator.expect(Exited)
    assert state_of(coordinator.pid) == "S"
    os.kill(coordinator.pid, 9)
    assert (exited.code, exited.survivors) in ((137, ()), (143, ()))


def test_an_end_that_was_not_heard_is_said_again_with_the_next_hello(
    start: Start, coordinator: CoordinatorDouble, process: "subprocess.Popen[bytes]"
) -> None:
    """Also that of a tree ended for a pause: the coordinator died before it could confirm it."""
    command = start("sleep", "60")
    coordinator.pid = process.pid
    coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(EndTree(job=1, attempt=1, request=7))
    exited = coordinator.expect(Exited)
    coordinator.pid = os.getpid()
    process.kill()
    assert coordinator.accept().held is None
    assert coordinator.expect(Exited) == exited
    coordinator.send(grant(attempt=2), Ended(job=1))
    assert coordinator.expect(Spawned).attempt == 2
    command.terminate()
    coordinator.end()


def test_a_job_that_ends_while_no_coordinator_runs_is_written_to_the_spool(
    start: Start,
    coordinator: CoordinatorDouble,
    process: "subprocess.Popen[bytes]",
    environment: dict[str, str],
) -> None:
    """At once: there is nobody to wait for."""
    command = start("sh", "-c", "read line; exit 6", stdin=-1)
    coordinator.pid = process.pid
    submit = coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.close()
    process.kill()
    _, err = command.communicate("\n", timeout=10)
    assert command.returncode == 6
    assert "error" not in err
    folder = f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}/ends"
    with open(f"{folder}/{submit.uuid}.json", "rb") as file:
        spooled = msgspec.json.decode(file.read(), type=Exited)
    assert spooled == Exited(job=1, attempt=1, code=6)


def test_a_spool_that_cannot_be_written_is_said_and_the_exit_code_kept(
    start: Start, coordinator: CoordinatorDouble, environment: dict[str, str]
) -> None:
    command = start("sh", "-c", "exit 6")
    folder = f"{environment['GPURUN_STATE_DIR']}/{os.uname().nodename}"
    os.makedirs(folder)
    with open(f"{folder}/ends", "w", encoding="utf-8"):
        coordinator.admit()
        coordinator.expect(Exited)
        code, _, err = ended(command)
    assert code == 6
    assert "gpurun: error: cannot write down the end of job 1: " in err


def test_a_coordinator_that_does_not_answer_is_greeted_again(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """Its first words may be lost with the connection."""
    coordinator.greets = False
    start("true")
    first = coordinator.expect(Submit)
    coordinator.greets = True
    assert coordinator.admit() == first
    coordinator.end()


def test_a_parked_job_survives_that_no_coordinator_can_be_started(
    start: Start,
    coordinator: CoordinatorDouble,
    process: "subprocess.Popen[bytes]",
    environment: dict[str, str],
    folder: str,
) -> None:
    """That is said once, and one that somebody else starts is found."""
    command = start("sh", "-c", "read line; exit 5", stdin=-1)
    coordinator.pid = process.pid
    coordinator.admit()
    coordinator.expect(Spawned)
    coordinator.send(Paused(job=1, text=""))
    os.rename(f"{folder}/state", f"{folder}/elsewhere")
    with open(f"{folder}/state", "w", encoding="utf-8"):
        coordinator.close()
    process.kill()
    assert command.stderr
    assert " starts on " in command.stderr.readline()
    assert "cannot write " in command.stderr.readline()
    successor = CoordinatorDouble(environment["GPURUN_RUNTIME_DIR"])
    assert successor.expect(Submit).held
    successor.send(Accepted(job=1))
    assert command.stdin
    command.stdin.write("\n")
    command.stdin.flush()
    assert successor.end().code == 5
    assert ended(command)[0] == 5
    successor.close()
