"""What a shell sees of a job: exit codes, signals, and what is left behind."""

import os
import re
import signal

import pytest
from tests.e2e.machine import EXAMPLES, Machine

from gpurun.protocol.quantity import GIB

BUSY = ("--mem=16GiB", "--util=60")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 75", 75),
        ("kill -TERM $$", 128 + signal.SIGTERM),
        ("kill -KILL $$", 128 + signal.SIGKILL),
        ("kill -SEGV $$", 128 + signal.SIGSEGV),
    ],
)
def test_the_exit_code_is_the_jobs_own(machine: Machine, command: str, code: int) -> None:
    """128+N when signal N ended it."""
    assert machine.run("--mem=1GiB", "--", "sh", "-c", f"ulimit -c 0; {command}").returncode == code
    assert machine.job(1)["exit_code"] == code
    assert machine.job(1)["state"] == ("failed" if code else "finished")


def test_stdout_is_the_jobs_own_and_gpuruns_lines_go_to_stderr(machine: Machine) -> None:
    done = machine.run("--mem=1GiB", "--util=10", "--", "echo", "a word")
    assert done.stdout == "a word"
    assert all(line.startswith("gpurun: job 1 ") for line in done.stderr.splitlines())
    quiet = machine.run("-q", "--mem=1GiB", "--", "echo", "a word")
    assert (quiet.stdout, quiet.stderr) == ("a word", "")


def test_gpurun_inside_a_job_runs_at_once_in_its_reservation(machine: Machine) -> None:
    """A script that runs programs under gpurun does not wait for itself."""
    script = machine.write_script(
        "run_all.sh",
        "gpurun --mem 20GiB python -c \"import os; print(os.environ['GPURUN_JOB'])\"\n"
        "gpurun --mem 20GiB sh -c 'exit 3'\n",
    )
    done = machine.run(*BUSY, "--", "sh", script)
    assert (done.returncode, done.stdout) == (3, "1")
    assert done.stderr.count("gpurun: inside job 1: runs at once in its reservation") == 2
    assert [job["id"] for job in machine.status("--all")["jobs"]] == [1]
    assert max(line.memory for line in machine.log()) == 16 * GIB


def test_what_outlives_its_job_is_reported(machine: Machine) -> None:
    """A grandchild in a session of its own, whose parent has ended, is still found."""
    script = machine.write_script(
        "leave.py",
        "import subprocess\n"
        "null = subprocess.DEVNULL\n"
        "sleep = ['sleep', '1000']\n"
        "left = subprocess.Popen(sleep, start_new_session=True, stdout=null, stderr=null)\n"
        "print(left.pid)\n",
    )
    done = machine.run(*BUSY, "--", "sh", "-c", f"python {script}; exit 5")
    left = int(done.stdout)
    try:
        assert done.returncode == 5
        assert f"gpurun: job 1 left processes behind: {left} (sleep)" in done.stderr
        assert "exit code 5, 1 of its processes live on" in [one.detail for one in machine.log(1)]
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("option", ["--no-wait", "--max-wait=200ms"])
def test_what_is_not_admitted_in_time_ends_with_75(machine: Machine, option: str) -> None:
    """One line says what it would have waited for, and it has left the queue."""
    job = machine.start_gated()
    late = machine.run("-q", *BUSY, option, "--", "true")
    assert late.returncode == 75
    assert re.fullmatch(
        r"gpurun: error: not admitted in time: needs 16.0 GiB on GPU 0 and .* is missing; "
        r"held by job 1 \(cat\), \w+: 16.0 GiB, 60 %",
        late.stderr,
    )
    assert machine.state_of(2) == "cancelled"
    machine.open_gate()
    assert job.end() == 0


@pytest.mark.parametrize("how", ["Ctrl-C", "gpurun cancel"])
def test_what_is_cancelled_while_it_waits_ends_with_130_or_143(machine: Machine, how: str) -> None:
    """130 by Ctrl-C, 143 by `gpurun cancel`; neither has started anything."""
    job = machine.start_gated()
    waiting = machine.start(*BUSY, "--", "echo", "started")
    machine.wait_until(lambda: waiting.says("job 2 waits: "), alive=[waiting])
    if how == "Ctrl-C":
        os.killpg(waiting.process.pid, signal.SIGINT)
    else:
        assert machine.run("cancel", "2").returncode == 0
    assert waiting.end() == (130 if how == "Ctrl-C" else 143)
    assert waiting.out == []
    assert not waiting.says("Traceback")
    machine.wait_until(lambda: machine.state_of(2) == "cancelled")
    machine.open_gate()
    assert job.end() == 0


def test_check_proves_that_a_script_loses_nothing(machine: Machine) -> None:
    """Admitted like any other; its verdict is all that it prints beside the script's own lines."""
    done = machine.run("check", "--mem=1GiB", f"{EXAMPLES}/train_digits.py", "--steps=11")
    assert done.returncode == 0, done.stderr
    assert "train_digits.py loses nothing" in done.stdout
    assert machine.job(1)["name"] == "check train_digits.py"
    assert machine.run("check", "missing.py").returncode == 127
    assert machine.run("check", "true").returncode == 2
