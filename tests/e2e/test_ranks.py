"""A training of several ranks steps aside through the real coordinator, under torchrun."""

import pytest
from tests.e2e.machine import EXAMPLES, Machine, Running

COMMAND = ("torchrun", "--nproc-per-node", "2", f"{EXAMPLES}/ddp_digits.py", "--epochs", "3")


def said(training: Running, *beginnings: str) -> list[str]:
    """Its lines that begin so."""
    return [line for line in training.out if line.startswith(beginnings)]


@pytest.mark.long
def test_all_ranks_are_ended_for_a_pause_and_end_as_if_they_had_not_been(machine: Machine) -> None:
    """One job for the scheduler; torchrun does not see its ranks end, and nothing runs twice."""
    pytest.importorskip("sklearn")
    alone = machine.start_program(*COMMAND)
    training = machine.start(
        "--gpus=1", "--pause=exit", "--mem=4GiB", "--util=50", *COMMAND, "--step-time", "0.05"
    )
    machine.wait_until(lambda: training.says("epoch 0"), alive=[training])
    assert machine.run("pause", "1").returncode == 0, training.said
    assert machine.job(1)["state"] == "paused"
    assert machine.run("resume", "1").returncode == 0
    assert alone.end() == 0, alone.said
    assert training.end() == 0, training.said
    whole = said(alone, "digest ", "accuracy ", "epoch ")
    assert said(training, "digest ", "accuracy ", "epoch ") == whole
    assert len(whole) == 5
    assert not training.says("ChildFailedError")
    assert not training.says("Traceback")
    (job,) = machine.status("--all")["jobs"]
    assert (job["state"], job["attempt"], job["pauses"]) == ("finished", 2, 1)
