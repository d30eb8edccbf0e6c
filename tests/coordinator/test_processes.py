"""What /proc says, of real processes."""

import getpass
import os
import platform
import re
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.coordinator.gpus.helpers import (
    Child,
    number,
    own,
    programs,
    python,
    wait_until,
)

from gpurun.coordinator import processes
from gpurun.coordinator.core.sample import OwnProcess

PARENT = python(
    "import subprocess, sys\n"
    "child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n"
    "print(child.pid, flush=True)\n"
    "sys.stdin.read()"
)
"""A program with a child that lives until it is killed, or its own stdin ends."""
EXIT = 60 if platform.machine() == "x86_64" else 93
"""Linux's number of the call that ends one thread alone."""
Start = Callable[..., Child]


@pytest.fixture
def child() -> Iterator[Start]:
    """Start programs that are gone when the test is."""
    with programs() as start:
        yield start


def owner(pid: int, roots: list[OwnProcess]) -> int | None:
    """The job of one process, by a fresh look."""
    return processes.Table(roots).owner(pid)


def test_a_pid_and_its_start_time_name_one_process(child: Start) -> None:
    """A process lives under its own start time and under no other."""
    process = child()
    began = processes.start_time(process.pid)
    assert began is not None
    assert began >= (processes.start_time(os.getpid()) or 0)
    assert processes.alive(process.pid, began)
    assert not processes.alive(process.pid, began + 1)


def test_a_name_with_parentheses_and_spaces_is_read_past(child: Start) -> None:
    """Programs may call themselves what looks like other fields."""
    process = child(
        *python(
            "import sys\nopen('/proc/self/comm', 'w').write('a) R 1 (b')\n"
            "print(1, flush=True)\nsys.stdin.read()"
        )
    )
    assert number(process) == 1
    found = processes.stat(process.pid)
    assert found is not None
    assert (found.parent, found.group) == (os.getpid(), os.getpgrp())


def test_who_has_ended_does_not_live_although_nobody_has_reaped_it(child: Start) -> None:
    """A zombie still has its entry, holds nothing, and is not alive."""
    process = child()
    began = processes.start_time(process.pid) or 0
    process.kill()
    wait_until(lambda: not processes.alive(process.pid, began))
    assert processes.start_time(process.pid) == began
    process.wait()
    assert processes.start_time(process.pid) is None
    assert not processes.alive(process.pid, began)


def test_threads_outlive_the_first_one(child: Start) -> None:
    """A process whose first thread has ended lives as long as another one does."""
    process = child(
        *python(
            "import ctypes, sys, threading\n"
            "thread = threading.Thread(target=sys.stdin.read)\nthread.start()\n"
            f"ctypes.CDLL(None).syscall({EXIT}, 0)"
        )
    )
    began = processes.start_time(process.pid) or 0

    def leader_ended() -> bool:
        found = processes.stat(process.pid)
        return found is not None and found.state == "Z"

    wait_until(leader_ended)
    assert processes.alive(process.pid, began)
    process.kill()
    wait_until(lambda: not processes.alive(process.pid, began))


def test_user_and_command_are_those_of_the_process(child: Start) -> None:
    """What cannot be told is None."""
    process = child("cat", "-", "a b")
    wait_until(lambda: processes.command_of(process.pid) == "cat - a b")
    assert processes.user_of(process.pid) == getpass.getuser()
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert processes.user_of(gone.pid) is None
    assert processes.command_of(gone.pid) is None


def test_the_boot_has_a_name() -> None:
    """It is the kernel's UUID of this run."""
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", processes.boot_id())


def test_a_tree_belongs_to_the_job_at_its_top(child: Start) -> None:
    """Children of the main process are the job's; its parent and its siblings are not."""
    main, sibling = child(*PARENT), child()
    below = number(main)
    roots = [own(5, main.pid)]
    assert owner(main.pid, roots) == 5
    assert owner(below, roots) == 5
    assert owner(sibling.pid, roots) is None
    assert owner(os.getpid(), roots) is None


def test_the_nearest_root_is_the_owner(child: Start) -> None:
    """A launcher that is itself below another job's process starts a job of its own."""
    outer = child(*PARENT)
    inner = number(outer)
    assert owner(inner, [own(1, outer.pid), own(2, inner)]) == 2


def test_what_a_main_process_leaves_behind_hangs_below_the_launcher(child: Start) -> None:
    """The launcher is a child subreaper, so its pid finds the orphans of a main that has ended."""
    launcher = child(
        *python(
            "import ctypes, subprocess, sys\n"
            "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
            'main = \'import subprocess; print(subprocess.Popen(["sleep", "60"]).pid)\'\n'
            "subprocess.run([sys.executable, '-Sc', main])\n"
            "sys.stdin.read()"
        )
    )
    orphan = number(launcher)
    gone = own(3, 4194399, start_time=1)
    try:
        with_launcher = own(3, gone.pid, start_time=1, launcher=launcher.pid)
        wait_until(lambda: owner(orphan, [with_launcher]) == 3)
        assert owner(orphan, [gone]) is None
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_with_no_launcher_the_group_tells(child: Start) -> None:
    """A process beside the main one in a group that the main one leads is the job's."""
    main = child(process_group=0)
    beside, apart = child(process_group=main.pid), child()
    roots = [own(4, main.pid)]
    assert owner(beside.pid, roots) == 4
    assert owner(apart.pid, roots) is None
    main.kill()
    main.wait()
    ended = [own(4, main.pid, start_time=roots[0].start_time)]
    assert owner(beside.pid, ended) == 4


def test_the_group_of_a_dead_launcher_is_the_jobs(child: Start) -> None:
    """A terminal's launcher led the group of its job; when it is gone the group still tells."""
    launcher = child(process_group=0)
    main, beside = child(process_group=launcher.pid), child(process_group=launcher.pid)
    launcher.kill()
    launcher.wait()
    assert owner(beside.pid, [own(4, main.pid)]) == 4


def test_the_group_of_a_launcher_tells_when_all_else_is_gone(child: Start) -> None:
    """What survives main process and launcher is still in the group that the launcher led."""
    launcher = child(process_group=0)
    main, survivor = child(process_group=launcher.pid), child(process_group=launcher.pid)
    root = own(4, main.pid, launcher=launcher.pid)
    for process in (main, launcher):
        process.kill()
        process.wait()
    assert owner(survivor.pid, [root]) == 4


def test_a_recycled_launcher_owns_nothing(child: Start) -> None:
    """Another process under the launcher's pid, its children and its group are foreign."""
    stranger = child(*PARENT, process_group=0)
    below = number(stranger)
    roots = [own(6, 4194399, start_time=1, launcher=stranger.pid, launcher_start=1)]
    assert owner(stranger.pid, roots) is None
    assert owner(below, roots) is None


def test_the_group_of_a_script_is_not_the_jobs(child: Start) -> None:
    """Where somebody else leads the group its other processes are foreign."""
    main, beside = child(), child()
    assert owner(main.pid, [own(4, main.pid)]) == 4
    assert owner(beside.pid, [own(4, main.pid)]) is None


def test_a_recycled_pid_owns_nothing(child: Start) -> None:
    """Another process under the recorded pid, its children and its group are foreign."""
    stranger = child(*PARENT, process_group=0)
    below = number(stranger)
    roots = [own(6, stranger.pid, start_time=1)]
    assert owner(stranger.pid, roots) is None
    assert owner(below, roots) is None


def test_an_ancestor_in_common_is_read_once(monkeypatch: pytest.MonkeyPatch, child: Start) -> None:
    """Many processes of one tree cost one read each."""
    read: list[int] = []
    real = processes.stat
    monkeypatch.setattr(processes, "stat", lambda pid: read.append(pid) or real(pid))  # type: ignore[func-returns-value]
    children = [child().pid for _ in range(5)]
    table = processes.Table([])
    assert [table.owner(pid) for pid in children * 2] == [None] * 10
    assert set(read) > set(children)
    assert len(read) == len(set(read))
