"""Cancelled while it runs: SIGTERM, a grace, then SIGKILL of the whole tree."""

import os
import time

from tests.launcher.conftest import Start, ended, is_gone
from tests.launcher.coordinator_double import CoordinatorDouble

from gpurun.protocol.messages import Spawned, Terminate


def test_a_job_that_obeys_sigterm_ends_in_its_own_way(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("sh", "-c", "trap 'echo saved; exit 9' TERM; echo go; while :; do read x; done")
    coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    coordinator.send(Terminate(job=1, grace=10.0))
    assert coordinator.end().code == 9
    assert ended(command)[:2] == (9, "saved\n")


def test_a_job_that_does_not_is_killed_after_the_grace_with_all_its_tree(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    script = "trap '' TERM; (setsid sleep 60 & echo $! > pid); echo go; sleep 60"
    command = start("sh", "-c", script)
    coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    began = time.monotonic()
    coordinator.send(Terminate(job=1, grace=0.3))
    exited = coordinator.end()
    assert 0.25 < time.monotonic() - began < 3
    assert (exited.code, exited.request, exited.survivors) == (137, 0, ())
    with open(f"{folder}/pid", encoding="utf-8") as file:
        assert is_gone(int(file.read()))
    assert ended(command)[0] == 137


def test_workers_that_outlive_a_cancelled_main_process_end_too(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    """`run.sh` dies of SIGTERM at once, and its training would hold the device."""
    command = start("sh", "-c", "sleep 60 & sleep 61 & echo go; wait")
    coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    coordinator.send(Terminate(job=1, grace=10.0))
    exited = coordinator.end()
    assert (exited.code, exited.survivors) == (143, ())


def test_a_stopped_job_is_continued_so_that_it_can_end(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    start("sleep", "60")
    coordinator.admit()
    os.kill(coordinator.expect(Spawned).pid, 19)
    coordinator.send(Terminate(job=1, grace=10.0))
    assert coordinator.end().code == 143


def test_a_second_cancel_can_only_shorten_the_grace(
    start: Start, coordinator: CoordinatorDouble
) -> None:
    command = start("sh", "-c", "trap '' TERM; echo go; sleep 60")
    coordinator.admit()
    assert command.stdout
    assert command.stdout.readline() == "go\n"
    for grace in (60.0, 0.0, 60.0):
        coordinator.send(Terminate(job=1, grace=grace))
    assert coordinator.end().code == 137
