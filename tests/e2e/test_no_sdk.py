"""A script with no SDK steps aside as it was told on the command line."""

import os
import signal

from tests.e2e.counting import COUNTING
from tests.e2e.machine import SCRIPTS, Machine, Running

SAVES = ("--pause-signal=USR2", "--pause-exit=85")
LOOP = "while [ ! -e go ]; do i=$((i + 1)); done; exit 7"


def stopped(pid: int) -> bool:
    """Whether the process is in state T."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[0] == b"T"


def started(machine: Machine) -> tuple[Running, int]:
    """A shell that computes until the file `go` is there, and may be stopped; and its pid."""
    job = machine.start("--mem=8GiB", "--util=80", "--pause-signal=STOP", "--", "sh", "-c", LOOP)
    machine.wait_until(lambda: machine.count(1, "spawned") == 1, alive=[job])
    machine.wait_until(lambda: machine.job(1)["pausable"] == ["stand"], alive=[job])
    return job, machine.job(1)["pid"]


def test_a_light_task_runs_while_the_stopped_program_stands(machine: Machine) -> None:
    """It is the same process afterwards, and ends with its own exit code."""
    job, pid = started(machine)
    light = machine.start_gated("--priority=high", mem="4GiB", util=50)
    assert stopped(pid)
    assert machine.job(1)["state"] == "paused"
    assert machine.job(1)["observed"]["memory"] == 8 * 1024**3
    machine.open_gate()
    assert light.end() == 0
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[job])
    assert not stopped(pid)
    machine.write_script("go", "")
    assert job.end() == 7
    found = machine.job(1)
    assert (found["state"], found["pauses"], found["attempt"]) == ("failed", 1, 1)
    assert job.says("job 1 paused for job 2 (cat)")


def test_a_person_pauses_and_resumes_it(machine: Machine) -> None:
    job, pid = started(machine)
    assert machine.run("pause", "1").returncode == 0
    assert stopped(pid)
    assert (machine.job(1)["state"], machine.job(1)["held"]) == ("paused", True)
    assert machine.run("resume", "1").returncode == 0
    machine.wait_until(lambda: not stopped(pid), alive=[job])
    assert machine.run("pause", "1").returncode == 0
    assert machine.run("cancel", "1").returncode == 0
    assert job.end() == 128 + signal.SIGTERM
    assert machine.job(1)["state"] == "cancelled"


def test_a_killed_coordinator_finds_it_standing(machine: Machine) -> None:
    """Its launcher starts another one, which lets it go on when there is room."""
    job, pid = started(machine)
    light = machine.start_gated("--priority=high", mem="4GiB", util=50)
    machine.kill_coordinator()
    machine.wait_until(lambda: machine.count(1, "coordinator restarted") == 1, alive=[job, light])
    assert machine.job(1)["state"] == "paused"
    assert stopped(pid)
    machine.open_gate()
    assert light.end() == 0
    machine.wait_until(lambda: not stopped(pid), alive=[job])
    machine.write_script("go", "")
    assert job.end() == 7


def test_a_killed_launcher_leaves_it_running_and_charged(machine: Machine) -> None:
    job, pid = started(machine)
    assert machine.run("pause", "1").returncode == 0
    os.kill(job.process.pid, signal.SIGKILL)
    machine.wait_until(lambda: not stopped(pid))
    machine.wait_until(lambda: machine.state_of(1) == "running")
    assert (machine.job(1)["pausable"], machine.log(1)[-1].utilization) == (None, 0.8)
    machine.write_script("go", "")
    machine.wait_until(lambda: machine.state_of(1) == "lost")


def test_a_program_that_saves_at_a_signal_is_spawned_again_from_what_it_saved(
    machine: Machine,
) -> None:
    job = machine.start("--mem=16GiB", "--util=80", *SAVES, f"{SCRIPTS}/saving.py", machine.folder)
    machine.wait_until(lambda: job.says("attempt 1 counts from 0"), alive=[job])
    machine.wait_until(lambda: machine.job(1)["pausable"] == ["exit"], alive=[job])
    light = machine.run("--priority=high", "--mem=12GiB", "--util=50", "--time=5s", "--", "true")
    assert light.returncode == 0
    machine.wait_until(lambda: job.says("attempt 2 counts from "), alive=[job])
    machine.write_script("go", "")
    assert job.end() == 0
    assert not job.says("attempt 2 counts from 0")
    assert job.says("counted, resume None")
    found = machine.job(1)
    assert (found["state"], found["pauses"], found["attempt"]) == ("finished", 1, 2)
    assert job.says("job 1 paused for job 2 (true)")
    assert job.says("job 1 goes on on GPU 0")
    assert machine.log(2)[-1].at > next(e.at for e in machine.log(1) if e.trigger == "released")


def test_an_sdk_in_such_a_job_is_told_so_and_trains_on(machine: Machine) -> None:
    go = f"{machine.folder}/go"
    training = machine.start("--mem=8GiB", "--util=80", "--pause-signal=STOP", COUNTING, go)
    machine.wait_until(lambda: training.says("job 1 pauses by --pause-signal STOP"))
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    assert machine.job(1)["pausable"] == ["stand"]
    assert machine.run("pause", "1").returncode == 0
    assert stopped(machine.job(1)["pid"])
    assert machine.run("resume", "1").returncode == 0
    machine.write_script("go", "")
    assert training.end() == 0
