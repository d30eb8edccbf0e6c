"""A training whose data worker processes load is ended with all of them, and loses nothing."""

from tests.e2e.machine import ROOT, SCRIPTS, Machine, alive

SCRIPT = f"{SCRIPTS}/loading.py"
WHO_LIVES = """
import os, sys
from tests.e2e.machine import alive
found = [pid for pid in sys.argv[1:] if alive(int(pid))]
print("job", os.environ["GPURUN_JOB"], "sees", found)
"""


def test_a_high_priority_task_finds_nothing_left_of_a_training_with_loader_workers(
    machine: Machine,
) -> None:
    go = f"{machine.folder}/go"
    training = machine.start("--pause=exit", "--mem=16GiB", "--util=60", SCRIPT, go)
    machine.wait_until(lambda: training.says(" starts on "), alive=[training])
    machine.wait_until(lambda: machine.job(1)["pausable"], alive=[training])
    main = machine.job(1)["pid"]
    machine.wait_until(lambda: len(_children(main)) == 2, alive=[training])
    tree = [main, *_children(main)]
    task = machine.run(
        "--priority=high", "--mem=12GiB", "--", "python", "-c", WHO_LIVES, *map(str, tree),
        PYTHONPATH=f"{machine.environment['PYTHONPATH']}:{ROOT}",
    )  # fmt: skip
    assert (task.returncode, task.stdout) == (0, "job 2 sees []"), task.stderr
    assert [pid for pid in tree if alive(pid)] == []
    with open(go, "wb"):
        pass
    uninterrupted = machine.start_program("python", SCRIPT, go)
    assert training.end() == 0, training.said
    assert uninterrupted.end() == 0, uninterrupted.said
    assert machine.job(1)["pauses"] == 1
    assert not training.says("DataLoader worker"), training.said  # none was seen to end
    assert training.out == uninterrupted.out


def _children(parent: int) -> list[int]:
    with open(f"/proc/{parent}/task/{parent}/children", encoding="utf-8") as children:
        return [int(pid) for pid in children.read().split()]
