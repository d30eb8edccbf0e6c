"""`gpurun pause --rehearse`: each way to step aside is tried, and the training loses nothing."""

import re

import pytest
from tests.e2e.counting import COUNTING, ends_as_if_alone
from tests.e2e.machine import EXAMPLES, Machine, one_error

SCRIPT = f"{EXAMPLES}/train_digits.py"
STEPS = 400


def test_train_digits_rehearses_each_way_and_ends_in_the_digest_of_one_never_interrupted(
    machine: Machine,
) -> None:
    """Times and sizes on stdout, a line for each way; status shows how far it is."""
    training = machine.start(
        "--mem=16GiB", "--util=60", SCRIPT, f"--steps={STEPS}", "--step-time=0.01"
    )
    machine.wait_until(lambda: training.says("step 50 "), alive=[training])
    progress = machine.job(1)["progress"]
    assert 0 < progress["step"] <= progress["total"] == STEPS
    assert re.fullmatch(r"loss \d+(\.\d+)?", progress["text"])
    rehearsed = machine.run("pause", "--rehearse", "1")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert [line.split(":")[0] for line in rehearsed.stdout.splitlines()] == [
        f"job 1 (train_digits.py) can {way}" for way in ("stand", "park", "exit")
    ]
    for line in rehearsed.stdout.splitlines()[1:]:
        assert re.search(r"saved \d+ \w+ in \d+\.\d\d s to /", line), line
    alone = machine.start_program("python", SCRIPT, f"--steps={STEPS}")
    assert training.end() == alone.end() == 0, training.said
    found = machine.job(1)
    assert (found["state"], found["pauses"], found["attempt"]) == ("finished", 3, 2)
    digests = [line for line in (*training.out, *alone.out) if "digest" in line]
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_one_that_cannot_be_paused_says_what_would_make_it_pausable(machine: Machine) -> None:
    job = machine.start_gated()
    refused = machine.run("pause", "--rehearse", "1")
    assert refused.returncode == 1
    assert "sdk.Trainable" in one_error(refused.stderr)
    machine.open_gate()
    assert job.end() == 0


@pytest.mark.long
def test_a_coordinator_that_is_killed_in_the_middle_leaves_no_one_paused(machine: Machine) -> None:
    """The tree is ended, and if it has no grant yet, the next coordinator gives it one."""
    go = f"{machine.folder}/go"
    training = machine.start("--mem=16GiB", "--util=80", "--pause=exit", COUNTING, go)
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    machine.wait_until(lambda: machine.job(1)["pausable"], alive=[training])
    person = machine.start("pause", "--rehearse", "1")
    machine.wait_until(lambda: machine.count(1, "tree ended") == 1, alive=[training])
    machine.kill_coordinator()
    assert person.end() == 125
    machine.run("status")  # where the room is given back already, nobody needs the next one yet
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[training])
    found = machine.job(1)
    assert (found["state"], found["held"], found["attempt"]) == ("running", False, 2)
    ends_as_if_alone(machine, training, go)
