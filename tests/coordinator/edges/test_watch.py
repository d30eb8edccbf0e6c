"""Ends of real processes."""

import os
import select
from collections.abc import Callable, Iterator

import pytest
from tests.coordinator.edges.parts import DEADLINE, gathered
from tests.coordinator.gpus.helpers import Child, number, python

from gpurun.coordinator.core.job import Process
from gpurun.coordinator.processes import start_time, stat
from gpurun.coordinator.watch import Watch, Watched

Start = Callable[..., Child]


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


def of(process: Child, job: int = 1, launcher: bool = False) -> Watched:
    began = start_time(process.pid)
    assert began is not None
    return Watched(job, Process(process.pid, began), launcher)


def readable(watch: Watch, seconds: float) -> bool:
    return bool(select.select([watch], [], [], seconds)[0])


def test_an_end_is_told_once_and_wakes_the_loop(watch: Watch, child: Start) -> None:
    process, other = child(), child()
    watched = of(process)
    watch.add(watched)
    watch.add(of(other, 2))
    assert not readable(watch, 0)
    assert watch.ended() == []
    process.kill()
    assert readable(watch, DEADLINE)
    assert watch.ended() == [watched]
    assert watch.ended() == []
    assert not readable(watch, 0)


def test_an_end_is_seen_before_anybody_reaps(watch: Watch, child: Start) -> None:
    """Its parent may be stopped or slow."""
    process = child()
    watch.add(of(process))
    process.kill()
    assert readable(watch, DEADLINE)
    found = stat(process.pid)
    assert found is not None
    assert found.state == "Z"


def test_who_is_watched_twice_is_told_once(watch: Watch, child: Start) -> None:
    process = child()
    watch.add(of(process))
    descriptors = len(os.listdir("/proc/self/fd"))
    watch.add(of(process))
    assert len(os.listdir("/proc/self/fd")) == descriptors
    process.kill()
    assert readable(watch, DEADLINE)
    assert len(watch.ended()) == 1


def test_one_process_may_matter_in_two_ways(watch: Watch, child: Start) -> None:
    process = child()
    both = [of(process, 1, launcher=True), of(process, 2, launcher=False)]
    for watched in both:
        watch.add(watched)
    process.kill()
    assert sorted(gathered(watch.ended, 2), key=lambda one: one.job) == both


def test_one_that_is_gone_already_is_told_with_the_next(watch: Watch, child: Start) -> None:
    process = child()
    watched = of(process)
    process.kill()
    process.wait(DEADLINE)
    watch.add(watched)
    assert watch.pending
    assert watch.ended() == [watched]
    assert not watch.pending


def test_another_process_with_the_same_pid_is_not_the_one(watch: Watch, child: Start) -> None:
    """The start time tells them apart: the one that was meant is gone."""
    process = child()
    began = start_time(process.pid)
    assert began is not None
    old = Watched(1, Process(process.pid, began - 1), launcher=False)
    descriptors = len(os.listdir("/proc/self/fd"))
    watch.add(old)
    assert watch.ended() == [old]
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**40, 2**63])
def test_a_pid_that_nobody_can_have_is_gone(watch: Watch, pid: int) -> None:
    watched = Watched(1, Process(pid, 1), launcher=False)
    watch.add(watched)
    assert watch.ended() == [watched]


def test_a_grandchild_is_watched_like_a_child(watch: Watch, child: Start) -> None:
    """The daemon is nobody's parent."""
    parent = child(
        *python(
            "import subprocess, sys\n"
            "child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n"
            "print(child.pid, flush=True)\nsys.stdin.read()"
        )
    )
    pid = number(parent)
    watched = Watched(1, Process(pid, start_time(pid) or 0), launcher=False)
    watch.add(watched)
    os.kill(pid, 9)
    assert readable(watch, DEADLINE)
    assert watch.ended() == [watched]


def test_closing_leaves_no_descriptor_behind(child: Start) -> None:
    process = child()
    before = len(os.listdir("/proc/self/fd"))
    watch = Watch()
    watch.add(of(process))
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == before
