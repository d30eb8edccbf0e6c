"""An unmodified script of PyTorch Lightning is paused by exit, and loses nothing."""

from tests.e2e.machine import SCRIPTS, Machine

SCRIPT = f"{SCRIPTS}/fitting.py"


def test_an_unmodified_lightning_script_is_paused_and_goes_on(machine: Machine) -> None:
    """No line behind `fit` runs at the pause, no hook hears of an exception, nothing is begun."""
    go = f"{machine.folder}/go"
    told = ("--pause=exit", "--mem=16GiB", "--util=60")
    training = machine.start(*told, SCRIPT, go, f"{machine.folder}/paused")
    machine.wait_until(lambda: training.says("trains"), alive=[training])
    assert machine.run("pause", "1").returncode == 0
    assert machine.state_of(1) == "paused"
    assert training.out == []
    with open(go, "wb"):
        pass
    alone = machine.start_program("python", SCRIPT, go, f"{machine.folder}/alone")
    assert machine.run("resume", "1").returncode == 0
    assert training.end() == 0, training.said
    assert alone.end() == 0, alone.said
    assert machine.job(1)["pauses"] == 1
    assert training.out[0].startswith("after fit")
    assert training.out == alone.out
