"""A training that fills a device's time, not its memory, stands while a light task runs."""

from tests.e2e.counting import COUNTING, ends_as_if_alone
from tests.e2e.machine import Machine


def test_a_light_task_runs_while_the_training_stands_where_it_is(machine: Machine) -> None:
    """The same process goes on afterwards, and ends in the state of one never asked."""
    go = f"{machine.folder}/go"
    training = machine.start("--mem=8GiB", "--util=80", COUNTING, go)
    machine.wait_until(lambda: training.says("trains as "), alive=[training])
    machine.wait_until(lambda: machine.job(1)["pausable"], alive=[training])
    pid = machine.job(1)["pid"]
    light = machine.run(
        "--priority=high", "--mem=4GiB", "--util=50", "--time=5s", "--", "echo", "x"
    )
    assert (light.returncode, light.stdout) == (0, "x")
    machine.wait_until(lambda: machine.count(1, "resumed") == 1, alive=[training])
    found = machine.job(1)
    assert (found["state"], found["pid"], found["pauses"], found["attempt"]) == (
        "running",
        pid,
        1,
        1,
    )
    assert machine.count(1, "durable") == 0
    assert training.says("job 1 paused for job 2 (echo)")
    ends_as_if_alone(machine, training, go)
