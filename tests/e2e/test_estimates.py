"""What people see of estimates: the lines of a job, `gpurun estimate`, an end out of memory."""

import json
from typing import Any

import pytest
from tests.e2e.conftest import MakeMachine
from tests.e2e.machine import Machine

from gpurun.protocol.quantity import GIB

FAST = "[monitor]\ninterval = 0.1\n"
LOAD = ("gpurun", "sim", "load", "--util=30", "--seconds=2.5")


@pytest.fixture
def machine(make_machine: MakeMachine) -> Machine:
    """One simulated device that is looked at ten times a second."""
    return make_machine(config=FAST)


def estimate(machine: Machine, *words: str) -> Any:
    done = machine.run("estimate", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_program_that_has_run_is_admitted_with_what_it_needed(machine: Machine) -> None:
    """Unknown the first time, learned the second; the line at the end tells beforehand."""
    command = (*LOAD, "--mem=5GiB")
    assert estimate(machine, *command)["basis"] == "unknown"
    first = machine.run(*command)
    assert "peak 5.0 GiB of 21.6 GiB reserved; next time 5.2 GiB will be reserved" in first.stderr
    known = estimate(machine, *command)
    assert (known["basis"], known["memory"]) == ("learned", 5.25 * GIB)
    second = machine.run(*command)
    assert "5.2 GiB and 30 % reserved, learned from earlier runs" in second.stderr
    assert machine.job(2)["estimate"] == {
        "memory": 5.25 * GIB,
        "utilization": pytest.approx(0.3),
        "basis": "learned",
        "confidence": 0.5,
    }


def test_a_number_among_the_arguments_carries_the_estimate_over(machine: Machine) -> None:
    for size in ("4GiB", "8GiB"):
        assert machine.run(*LOAD, f"--mem={size}").returncode == 0
    known = estimate(machine, *LOAD, "--mem=6GiB")
    assert known["basis"] == "inferred"
    assert 6 * GIB <= known["memory"] < 8 * GIB
    text = machine.run("estimate", *LOAD, "--mem=6GiB").stdout
    assert "inferred from 2 other combinations of its numbers (seen: 6.0 GiB)" in text


def test_estimate_takes_the_options_of_run_and_starts_nothing(machine: Machine) -> None:
    done = machine.run("estimate", "--mem=6GiB", "--util=40", "--", "sh", "-c", "exit 3")
    assert (
        done.stdout
        == "sh: would reserve 6.0 GiB on each device, as told; 40 % of its time, as told"
    )
    assert done.returncode == 0
    assert machine.status("--all")["jobs"] == []
    assert machine.run("estimate").returncode == 2
    assert machine.run("estimate", "no-such-command").returncode == 127


def test_a_job_that_runs_out_of_memory_hears_what_to_ask_for(machine: Machine) -> None:
    machine.start_gated()
    done = machine.run("--mem=2GiB", "--util=10", "--", *LOAD, "--mem=10GiB")
    assert done.returncode == 1
    assert "gpurun: error: out of memory on device 0" in done.stderr
    assert (
        "job 2 ended: out of memory: peak 2.0 GiB of 2.0 GiB reserved, 10.0 GiB needed; "
        "next time ask for --mem 10.5GiB"
    ) in done.stderr
    (failed,) = (line for line in machine.story(2) if line["cause"] == "failed")
    assert failed["detail"] == "exit code 1, out of memory"


def test_retry_oom_runs_it_again_once_it_fits(machine: Machine) -> None:
    """As another job, with more, and with the exit code of the last one."""
    machine.start_gated()
    job = machine.start("--retry-oom", "--mem=2GiB", "--util=10", "--", *LOAD, "--mem=10GiB")
    machine.wait_until(lambda: machine.state_of(3) == "queued", alive=[job])
    machine.open_gate()
    assert job.end() == 0, job.said
    assert machine.job(2)["state"] == "failed"
    last = machine.job(3)
    assert (last["state"], last["request"]["memory"]) == ("finished", int(10.5 * GIB))


def test_who_comes_after_a_job_that_is_run_again_comes_after_its_retry(machine: Machine) -> None:
    script = f"until [ -e {machine.folder}/go ]; do sleep 0.1; done; {' '.join(LOAD)} --mem=10GiB"
    machine.start_gated()
    job = machine.start("--retry-oom", "--mem=2GiB", "--util=10", "--", "sh", "-c", script)
    machine.wait_until(lambda: machine.state_of(2) == "running", alive=[job])
    after = machine.start("--after=2", "--gpus=0", "--", "echo", "after")
    machine.wait_until(lambda: after.says("starts when job 2 (sh) has finished"), alive=[after])
    machine.write_script("go", "")
    machine.wait_until(lambda: machine.state_of(4) == "queued", alive=[job, after])
    machine.open_gate()
    assert job.end() == 0, job.said
    assert after.end() == 0, after.said
    assert after.out == ["after"]


def test_retry_oom_ends_where_no_device_has_more(machine: Machine) -> None:
    done = machine.run("--retry-oom", "--util=10", "--", *LOAD, "--mem=30GiB")
    assert done.returncode == 1
    assert "no device here has much more: make the program smaller" in done.stderr
    assert [job["state"] for job in machine.status("--all")["jobs"]] == ["failed"]


def test_a_job_over_its_reservation_is_an_incident_and_keeps_others_out(machine: Machine) -> None:
    job = machine.start("--mem=2GiB", "--util=10", "--", *LOAD, "--mem=5GiB", "--seconds=60")
    machine.wait_until(lambda: machine.count(1, "outgrew its reservation") == 1, alive=[job])
    assert machine.job(1)["incidents"] == 1
    late = machine.run("--no-wait", "--mem=1GiB", "--util=10", "--", "true")
    assert late.returncode == 75
    assert "GPU 0 takes nobody more while job 1 uses more than it reserved" in late.stderr


def test_settle_gives_the_room_of_an_unknown_job_to_others(make_machine: MakeMachine) -> None:
    machine = make_machine(config=f"{FAST}[estimate]\nsettle = '1s'\n")
    unknown = machine.start(*LOAD, "--mem=5GiB", "--seconds=60")
    machine.wait_until(lambda: machine.count(1, "reservation shrunk") >= 1, alive=[unknown])
    beside = machine.run("--max-wait=30s", "--mem=8GiB", "--util=10", "--", "true")
    assert beside.returncode == 0, beside.stderr


def test_what_was_learned_outlives_the_coordinator(machine: Machine) -> None:
    assert machine.run(*LOAD, "--mem=5GiB").returncode == 0
    machine.kill_coordinator()
    assert estimate(machine, *LOAD, "--mem=5GiB")["basis"] == "learned"


def test_the_end_of_a_run_that_nobody_measured_says_no_less(machine: Machine) -> None:
    """The kernel's word of the end may come before the launcher's: the peak is not lost."""
    for _ in range(5):
        done = machine.run("--mem=3GiB", "--util=10", "--", "sleep", "0.2")
        assert "peak 3.0 GiB of 3.0 GiB reserved as told; the same next time" in done.stderr
    assert machine.job(5)["observed"]["memory_peak"] == 3 * GIB
