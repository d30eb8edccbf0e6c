"""A job that has ended is run again as it was; a changed program is not gone on with unasked."""

import os
import signal
import sys

from tests.e2e.counting import COUNTING
from tests.e2e.machine import Machine, one_error

TRAINING = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import layers
print(os.getcwd(), os.environ["MARK"], layers.WIDTH, flush=True)
exec(open({counting!r}).read())
"""
SHOW = """
echo "$PWD $MARK ${GPURUN_RESUME-anew}"
[ "$GPURUN_ATTEMPT" = 1 ] && mkdir -p "$GPURUN_CHECKPOINT_DIR/000001-step-5"
exit 3
"""


def test_a_paused_training_whose_module_changes_is_held_and_one_that_is_killed_is_retried(
    machine: Machine,
) -> None:
    """With the environment and folder that it had, and to the state of one never interrupted."""
    go = f"{machine.folder}/go"
    module = machine.write_script("layers.py", "WIDTH = 3\n")
    script = machine.write_script("train.py", TRAINING.format(counting=COUNTING))
    training = machine.start("--mem=8GiB", "--util=60", script, go, MARK="first")
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    machine.wait_until(lambda: machine.job(1)["pausable"], alive=[training])
    assert machine.run("pause", "1").returncode == 0
    machine.write_script("layers.py", "WIDTH = 4\n")
    assert machine.run("resume", "1").returncode == 0
    machine.wait_until(lambda: machine.job(1)["held"], alive=[training])
    found = machine.job(1)
    assert (found["state"], found["reason"]["code"]) == ("paused", "changed")
    assert module in found["reason"]["text"]
    refusal = machine.run("resume", "1")
    assert refusal.returncode == 1
    assert "gpurun resume --changed 1" in one_error(refusal.stderr)
    assert machine.run("resume", "--changed", "1").returncode == 0
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[training])
    os.kill(machine.job(1)["pid"], signal.SIGKILL)
    assert training.end() == 128 + signal.SIGKILL
    assert training.says("gpurun retry 1 goes on from its last checkpoint")

    os.mkdir(f"{machine.folder}/elsewhere")
    retried = machine.start_program(
        "sh", "-c", "cd elsewhere && exec gpurun retry 1", MARK="other", GPURUN_DEVICES=""
    )
    machine.wait_until(lambda: machine.count(1, "resumed") == 2, alive=[retried])
    machine.write_script("go", "")
    alone = machine.start_program(sys.executable, COUNTING, go)
    assert (retried.end(), alone.end()) == (0, 0), retried.said
    assert retried.out[0] == f"{machine.folder} first 4"
    assert retried.out[-1] == alone.out[-1]
    found = machine.job(1)
    assert (found["state"], found["attempt"]) == ("finished", 4)
    assert not os.path.exists(f"{machine.state}/checkpoints/{os.listdir(orders(machine))[0]}")


def orders(machine: Machine) -> str:
    return f"{machine.state}/orders"


def test_retry_goes_on_fresh_begins_anew_and_a_new_submission_knows_of_nothing(
    machine: Machine,
) -> None:
    script = machine.write_script("show.sh", SHOW)
    first = machine.run("sh", script, MARK="a")
    here = machine.folder
    assert (first.returncode, first.stdout) == (3, f"{here} a anew")
    (uuid,) = os.listdir(orders(machine))
    checkpoint = f"{machine.state}/checkpoints/{uuid}/000001-step-5"
    new = machine.run("sh", script, MARK="b")
    assert new.stdout == f"{here} b anew"
    again = machine.run("retry", "1", MARK="c")
    assert (again.returncode, again.stdout) == (3, f"{here} a {checkpoint}")
    assert machine.job(1)["attempt"] == 2
    fresh = machine.run("retry", "--fresh", "1")
    assert fresh.stdout == f"{here} a anew"
    after = machine.run("retry", "1")
    assert after.stdout == f"{here} a anew"
    assert "job 1 (failed) has no checkpoint: it begins anew" in after.stderr


def test_a_job_that_is_lost_while_it_is_paused_is_resumed_elsewhere_as_the_same_job(
    machine: Machine,
) -> None:
    """Its launcher is killed where it waits, as with the terminal that it ran in."""
    script = machine.write_script("show.sh", SHOW)
    assert machine.run("sh", script, MARK="a").returncode == 3
    blocker = machine.start_gated(mem="20GiB")
    waiting = machine.start("retry", "1")
    machine.wait_until(lambda: machine.state_of(1) == "paused", alive=[waiting])
    os.kill(waiting.process.pid, signal.SIGKILL)
    machine.wait_until(lambda: machine.state_of(1) == "lost")
    machine.open_gate()
    assert blocker.end() == 0
    resumed = machine.run("resume", "1", MARK="b")
    assert resumed.returncode == 3
    assert resumed.stdout.endswith("/000001-step-5")
    assert machine.job(1)["state"] == "failed"


def test_what_runs_or_is_not_there_is_not_retried(machine: Machine) -> None:
    job = machine.start_gated("--name=long")
    refusal = machine.run("retry", "1")
    assert refusal.returncode == 2
    assert one_error(refusal.stderr) == "job 1 (long) runs; gpurun cancel 1 ends it"
    missing = machine.run("retry", "7")
    assert one_error(missing.stderr) == "there is no job 7; gpurun status lists the jobs"
    machine.open_gate()
    assert job.end() == 0
