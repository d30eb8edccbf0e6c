"""`--after`: one job when another has finished with 0, none when it has not."""

from tests.e2e.machine import Machine


def test_a_job_starts_after_another_or_never(machine: Machine) -> None:
    first = machine.start_gated("--name=first")
    second = machine.start("--after=first", "--mem=1GiB", "--util=10", "--", "echo", "second ran")
    machine.wait_until(lambda: second.says("starts when job 1 (first) has finished"))
    machine.open_gate()
    assert first.end() == 0
    assert second.end() == 0
    assert second.out == ["second ran"]


def test_a_job_after_one_that_fails_is_cancelled_with_the_reason(machine: Machine) -> None:
    first = machine.start_gated("--name=first")
    second = machine.start("--after=1", "--mem=1GiB", "--util=10", "--", "echo", "second ran")
    machine.wait_until(lambda: second.says("starts when job 1 (first) has finished"))
    assert machine.run("cancel", "first").returncode == 0
    assert first.end() == 143
    assert second.end() == 143
    assert second.out == []
    assert second.says("job 1 (first) has been cancelled, and it was to start after")
