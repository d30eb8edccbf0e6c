"""kill -9 of the coordinator: nothing is lost, and jobs are admitted as before."""

import os
import signal

import pytest
from tests.e2e.machine import SCRIPTS, Machine, Running

COUNTING = f"{SCRIPTS}/counting.py"


def test_killed_while_one_job_runs_and_one_waits(machine: Machine) -> None:
    """The waiting launcher starts it again; the running job does not notice."""
    first = machine.start_gated()
    pid = machine.job(1)["pid"]
    second = machine.start("--mem=16GiB", "--", "echo", "second")
    machine.wait_until(lambda: second.says("job 2 waits: "), alive=[second])
    machine.kill_coordinator()
    machine.wait_until(lambda: machine.count(2, "coordinator restarted") == 1, alive=[second])
    states = {job["id"]: (job["state"], job["pid"], job["attempt"]) for job in _jobs(machine)}
    assert states == {1: ("running", pid, 1), 2: ("queued", None, 0)}
    refused = machine.run("--mem=16GiB", "--no-wait", "--", "true")
    assert refused.returncode == 75  # the running job is charged as before
    machine.open_gate()
    assert first.end() == 0
    assert second.end() == 0
    assert second.out == ["second"]
    assert [machine.job(number)["state"] for number in (1, 2)] == ["finished", "finished"]


def test_killed_while_only_a_running_jobs_launcher_is_there(machine: Machine) -> None:
    """The next command starts it again and finds the job as it was."""
    job = machine.start_gated()
    pid = machine.job(1)["pid"]
    machine.kill_coordinator()
    (found,) = _jobs(machine)
    assert (found["state"], found["pid"], found["attempt"]) == ("running", pid, 1)
    machine.open_gate()
    assert job.end() == 0
    assert machine.job(1)["state"] == "finished"


def test_a_job_that_ends_while_no_coordinator_runs_is_found_finished(machine: Machine) -> None:
    """Its launcher leaves word of the end."""
    job = machine.start_gated()
    machine.kill_coordinator()
    machine.open_gate()
    assert job.end() == 0
    assert machine.coordinator == 0
    found = machine.job(1)
    assert (found["state"], found["exit_code"]) == ("finished", 0)


@pytest.fixture
def go(machine: Machine) -> str:
    """The file that lets a training come to its end."""
    return f"{machine.folder}/go"


@pytest.fixture
def training(machine: Machine, go: str) -> Running:
    """A training that runs and has said that it can be paused."""
    training = machine.start("--mem=16GiB", "--util=60", COUNTING, go)
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    machine.wait_until(lambda: machine.job(1)["pausable"] is not None, alive=[training])
    return training


def test_killed_while_a_training_is_paused(machine: Machine, training: Running, go: str) -> None:
    """It stays paused, goes on when asked to, and has lost no step."""
    assert machine.run("pause", "1").returncode == 0
    machine.kill_coordinator()
    machine.wait_until(lambda: machine.count(1, "coordinator restarted") == 1, alive=[training])
    (found,) = _jobs(machine)
    assert (found["state"], found["held"], found["pauses"]) == ("paused", True, 1)
    _go_on_to_the_end(machine, training, go)
    assert machine.job(1)["attempt"] == 2


def test_killed_while_a_training_stands_still_for_its_pause(
    machine: Machine, training: Running, go: str
) -> None:
    """Its checkpoint is on disk, nobody has ended its tree: the next coordinator has it done."""
    os.kill(training.process.pid, signal.SIGSTOP)
    assert machine.run("pause", "--no-wait", "1").returncode == 0
    machine.wait_until(lambda: machine.count(1, "durable") == 1)
    assert machine.state_of(1) == "pausing"
    machine.kill_coordinator()
    os.kill(training.process.pid, signal.SIGCONT)
    assert machine.run("coordinator", "start").returncode == 0
    machine.wait_until(lambda: machine.state_of(1) == "paused", alive=[training])
    _go_on_to_the_end(machine, training, go)
    assert machine.job(1)["pauses"] == 1


def _go_on_to_the_end(machine: Machine, training: Running, go: str) -> None:
    with open(go, "wb"):
        pass
    uninterrupted = machine.start_program("python", COUNTING, go)
    assert machine.run("resume", "1").returncode == 0
    assert training.end() == 0, training.said
    assert uninterrupted.end() == 0, uninterrupted.said
    assert training.out[-1] == uninterrupted.out[-1]


def _jobs(machine: Machine) -> list[dict[str, object]]:
    jobs: list[dict[str, object]] = machine.status()["jobs"]
    return jobs
