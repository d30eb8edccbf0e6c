"""What did not say that it can be paused never is."""

from tests.e2e.machine import Machine, one_error


def test_a_script_without_the_sdk_is_never_paused(machine: Machine) -> None:
    """Not for a task of high priority, and not by hand: then one line says what would help."""
    job = machine.start_gated()
    task = machine.run("--priority=high", "--mem=12GiB", "--no-wait", "--", "true")
    assert task.returncode == 75
    refused = machine.run("pause", "1")
    assert refused.returncode == 1
    text = one_error(refused.stderr)
    assert "job 1 (cat) cannot be paused: it does not use the gpurun SDK" in text
    assert (
        "build it on sdk.Trainable and sdk.run, or say --pause-signal, to make it pausable" in text
    )
    machine.open_gate()
    assert job.end() == 0
    assert [line.state for line in machine.log(1) if line.trigger == "pause asked"] == []
    assert machine.job(1)["pauses"] == 0
