"""What status and why show is what the contract names, and adds up."""

import msgspec
from tests.coordinator.core.world import World

from gpurun.coordinator.core.view import device_views, job_view
from gpurun.coordinator.core.why import why_text
from gpurun.protocol import messages as m
from gpurun.protocol.quantity import GIB

CONTRACT_JOB = {
    "id", "name", "user", "command", "state", "held", "reason", "priority", "devices", "request",
    "estimate", "observed", "pid", "submitted", "started", "ended", "exit_code", "waited", "ran",
    "paused", "pauses", "attempt", "pausable", "progress",
}  # fmt: skip
CONTRACT_DEVICE = {
    "index", "uuid", "name", "health", "memory", "utilization", "load", "caps", "processes",
}  # fmt: skip


def test_the_fields_of_a_job_are_the_contracts() -> None:
    world = World(24 * GIB)
    job = world.start(6, 0.4)
    shown = msgspec.to_builtins(job_view(world.scheduler.state, world.job(job), str))
    assert set(shown) == CONTRACT_JOB | {"incidents"}
    assert shown["request"] == {"gpus": 1, "memory": 6 * GIB, "utilization": 0.4}
    assert set(shown["estimate"]) == {"memory", "utilization", "basis", "confidence"}
    assert set(shown["observed"]) == {"memory", "memory_peak", "utilization"}
    assert shown["observed"]["memory_peak"] == 6 * GIB


def test_the_fields_of_a_device_are_the_contracts_and_its_sums_hold() -> None:
    world = World(24 * GIB)
    world.external["GPU-0"] = (2 * GIB, 0.1)
    world.sample()
    world.start(6, 0.4)
    (shown,) = msgspec.to_builtins(device_views(world.scheduler.state))
    assert set(shown) == CONTRACT_DEVICE
    memory = shown["memory"]
    assert memory == {
        "total": 24 * GIB,
        "used": 8 * GIB,
        "external": 2 * GIB,
        "reserved": 6 * GIB,
        "free": 16 * GIB,
    }
    assert shown["load"]["memory"] == (2 + 6) / 24
    assert shown["caps"] == {"memory": 0.9, "utilization": 0.9}
    assert {process["job"] for process in shown["processes"]} == {None, 1}


def test_the_clocks_of_a_job_count_each_second_once() -> None:
    world = World(24 * GIB)
    first = world.train(20, 0.9)
    second = world.submit(20, 0.5)
    world.advance(10.0)
    world.command(m.Pause(job=str(first)))
    world.capture(first)
    world.spawn(second)
    world.advance(5.0)
    waits = job_view(world.scheduler.state, world.job(second), str)
    paused = job_view(world.scheduler.state, world.job(first), str)
    assert (waits.waited, waits.ran) == (10.0, 5.0)
    assert (paused.ran, paused.paused) == (10.0, 5.0)


def test_why_shows_a_sum_that_can_be_checked_by_hand() -> None:
    world = World(24 * GIB)
    world.start(12, 0.3)
    blocked = world.submit(12, 0.3)
    text = why_text(world.scheduler.state, world.job(blocked))
    assert "job 1 12.0 GiB + this job 12.0 GiB + headroom 512 MiB = 24.5 GiB > 21.6 GiB" in text


def test_why_shows_the_room_set_aside_for_those_ahead() -> None:
    world = World(24 * GIB)
    world.start(12, 0.3)
    world.submit(12, 0.3)
    behind = world.submit(4, 0.1)
    assert "set aside for job 2 12.0 GiB" in why_text(world.scheduler.state, world.job(behind))


def test_why_of_a_running_and_of_an_ended_job_says_what_it_holds_and_how_it_ended() -> None:
    world = World(24 * GIB)
    job = world.start(12, 0.3)
    assert "holds 12.0 GiB and 30 %" in why_text(world.scheduler.state, world.job(job))
    world.exit(job, code=3)
    assert "exit code 3" in why_text(world.scheduler.state, world.job(job))
