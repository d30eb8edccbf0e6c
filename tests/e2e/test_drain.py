"""`gpurun drain`: nothing new starts, whoever restarts the coordinator; `--off` ends that."""

from tests.e2e.machine import Machine


def test_a_drain_holds_over_the_death_of_the_coordinator(machine: Machine) -> None:
    assert machine.run("drain").returncode == 0
    machine.kill_coordinator()
    refused = machine.run("--no-wait", "--mem=1GiB", "--", "true")
    assert refused.returncode == 75
    assert "nothing new is admitted; gpurun drain --off ends that" in refused.stderr
    assert machine.status()["coordinator"]["drained"] is True
    waiting = machine.start("--mem=1GiB", "--", "true")
    machine.wait_until(lambda: waiting.says("nothing new is admitted"), alive=[waiting])
    assert machine.run("drain", "--off").stdout == "jobs are admitted again"
    assert waiting.end() == 0
