"""The rules of NVML that concern processes, each by its number."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.coordinator.gpus.helpers import Child, Driver, compiled, number, own, python
from tests.coordinator.gpus.scripts import (
    FIRST,
    GIB,
    NOT_FOUND,
    NOT_SUPPORTED,
    SUCCESS,
    gpu,
)

from gpurun.coordinator import processes as proc
from gpurun.coordinator.core.device import Device
from gpurun.coordinator.core.ledger import load_of
from gpurun.coordinator.core.sample import HEALTHY, ProcessSample
from gpurun.coordinator.gpus import residents as module
from gpurun.coordinator.gpus.residents import Residents

Start = Callable[..., Child]
NOBODY = 4194399
"""A pid beyond what Linux gives by default."""
ORPHAN = (
    "import subprocess, sys\n"
    "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "sys.stdin.read()"
)
"""Leaves a process in a session and a group of its own behind."""


UNSEEN = 4_194_305
"""More than any pid_max."""


def look(residents: Residents, *pids: int, own: tuple[object, ...] = ()) -> list[ProcessSample]:
    """One round in which the driver names these."""
    residents.begin(own)  # type: ignore[arg-type]
    return [residents.sample(p, memory=1, utilization=None, compute=True) for p in pids]


def test_rule_05_a_pid_with_another_start_time_is_another_process(
    driver: Driver, child: Start
) -> None:
    """Who has the pid of a job's main process is not that process."""
    stranger = child()
    script = gpu(FIRST, f"compute {stranger.pid} {GIB}")
    (sample,) = driver.starts(script).sample([own(1, stranger.pid, start_time=1)])
    (process,) = sample.processes
    assert (process.job, process.command) == (None, "cat")
    assert process.start_time == proc.start_time(stranger.pid)


def test_rule_05_a_pid_that_is_used_again_is_read_again(
    child: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known of the one that ended is not said of the next."""
    first = second = child()
    while proc.start_time(second.pid) == proc.start_time(first.pid):  # a clock tick is long
        second = child("cat", "-")
    behind = {first.pid: first.pid}

    def seen_through(real: Callable[[int], object]) -> Callable[[int], object]:
        return lambda pid: real(behind.get(pid, pid))

    for owner, name in ((module, "user_of"), (module, "command_of"), (proc, "stat")):
        monkeypatch.setattr(owner, name, seen_through(getattr(owner, name)))
    monkeypatch.setattr(os, "pidfd_open", seen_through(os.pidfd_open))
    residents = Residents()
    root = own(1, first.pid)
    (before,) = look(residents, first.pid, own=(root,))
    assert (before.job, before.command) == (1, "cat")
    first.kill()
    first.wait()
    behind[first.pid] = second.pid
    (after,) = look(residents, first.pid, own=(root,))
    assert (after.job, after.command) == (None, "cat -")
    assert after.start_time == proc.start_time(second.pid) != before.start_time
    residents.close()


def test_rule_05_who_lives_is_read_once(child: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round with nobody new reads nothing in /proc."""
    process = child()
    residents = Residents()
    (first,) = look(residents, process.pid)
    monkeypatch.setattr(proc, "stat", lambda _: pytest.fail("read again"))
    monkeypatch.setattr(module, "command_of", lambda _: pytest.fail("read again"))
    assert look(residents, process.pid) == [first]
    residents.close()


def test_rule_05_who_is_not_to_be_seen_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in another container has no entry in /proc, in no round."""
    looked: list[int] = []

    def command_of(pid: int) -> None:
        looked.append(pid)

    monkeypatch.setattr(module, "command_of", command_of)
    residents = Residents()
    for _ in range(3):
        (sample,) = look(residents, UNSEEN)
        assert (sample.user, sample.command, sample.job) == (None, None, None)
    look(residents)
    look(residents)
    assert (looked, residents._known) == ([UNSEEN], {})
    residents.close()


def test_a_foreign_process_becomes_a_jobs_when_its_job_is_known(child: Start) -> None:
    """It may be on the device before word of its start has come."""
    process = child()
    residents = Residents()
    assert look(residents, process.pid)[0].job is None
    assert look(residents, process.pid, own=(own(3, process.pid),))[0].job == 3
    residents.close()


def test_what_survives_main_process_and_launcher_stays_the_jobs(child: Start) -> None:
    """In another session nothing in /proc tells whose it was: it is remembered until it ends."""
    main = child(*python(ORPHAN))
    survivor = number(main)
    root = own(3, main.pid)
    residents = Residents()
    try:
        assert look(residents, survivor, own=(root,))[0].job == 3
        main.kill()
        main.wait()
        assert proc.Table([root]).owner(survivor) is None
        assert look(residents, survivor, own=(root,))[0].job == 3
        assert look(residents, survivor)[0].job is None, "the job is released: it is anybody's"
    finally:
        os.kill(survivor, signal.SIGKILL)
    residents.close()


def test_who_has_just_ended_is_the_jobs_while_the_driver_names_it(child: Start) -> None:
    """The driver frees its memory in a while; until then nobody else may count on it."""
    process = child()
    root = own(3, process.pid)
    residents = Residents()
    look(residents, process.pid, own=(root,))
    process.kill()
    process.wait()
    for _ in range(3):
        (ended,) = look(residents, process.pid, own=(root,))
        assert (ended.job, ended.start_time) == (3, 0)
    look(residents, own=(root,))
    assert look(residents, process.pid, own=(root,))[0].job is None
    residents.close()


def test_nobody_is_watched_who_is_not_named(child: Start) -> None:
    """Descriptors are given back with the processes."""
    process = child()
    residents = Residents()
    before = len(os.listdir("/proc/self/fd"))
    look(residents, process.pid, os.getpid())
    assert len(os.listdir("/proc/self/fd")) == before + 2
    look(residents)
    look(residents)
    assert len(os.listdir("/proc/self/fd")) == before
    residents.close()


def test_rule_13_the_use_of_processes_is_advice(driver: Driver, child: Start) -> None:
    """Over 100 is nonsense, a pid that is not listed is nobody, and who is absent had none."""
    busy, odd, idle = child(), child(), child()
    lists = (f"compute {one.pid} 1" for one in (busy, odd, idle))
    shares = f"busy {busy.pid} 40", f"busy {odd.pid} 4000000", f"busy {NOBODY} 30"
    (sample,) = driver.starts(gpu(FIRST, *lists, *shares)).sample()
    found = {process.pid: process.utilization for process in sample.processes}
    assert found == {busy.pid: 0.4, odd.pid: 0.0, idle.pid: 0.0}


@pytest.mark.parametrize("code", [NOT_FOUND, SUCCESS])
def test_rule_13_nothing_new_is_no_error(driver: Driver, child: Start, code: int) -> None:
    """Then what was last heard stands; nvidia-ml-py makes an error of an empty success."""
    busy = child()
    here = f"compute {busy.pid} 1"
    driver.starts(gpu(FIRST, here, f"busy {busy.pid} 40")).sample()
    driver.plays(gpu(FIRST, here, f"busy_code {code}"))
    (sample,) = driver.sample()
    assert sample.health == HEALTHY
    assert sample.processes[0].utilization == 0.4


def test_rule_13_with_no_news_at_all_it_is_unknown(driver: Driver, child: Start) -> None:
    """Unknown is never zero: not where it is not supported, and not before the first news."""
    process = child()
    for code in (NOT_FOUND, NOT_SUPPORTED):
        script = gpu(FIRST, f"compute {process.pid} 1", f"busy_code {code}")
        assert driver.starts(script).sample()[0].processes[0].utilization is None
        driver.ask("close")


def test_rule_14_the_second_version_of_the_lists_is_read_too(tmp_path: Path) -> None:
    """It is found by its name where the third is missing."""
    old = Driver(compiled(tmp_path, "-DSECOND_VERSION"), tmp_path / "devices.txt")
    (sample,) = old.starts(gpu(FIRST, f"compute {os.getpid()} {GIB}")).sample()
    assert [(one.pid, one.memory) for one in sample.processes] == [(os.getpid(), GIB)]
    assert old.calls("nvmlDeviceGetComputeRunningProcesses_v2") == 2
    old.end()


def test_rule_14_a_list_of_nobody_is_suspected(driver: Driver) -> None:
    """Pids that /proc never knows speak of another layout or namespace: sizes are not believed."""
    script = gpu(FIRST, f"compute {NOBODY} {GIB}", used=7)
    first, second, third = (driver.starts(script).sample()[0], *(driver.sample()[0] for _ in "ab"))
    assert [one.processes[0].memory for one in (first, second, third)] == [GIB, GIB, None]
    assert any("--pid=host" in note for note in third.notes)
    assert load_of(Device(third, 0.0), (), stale=False).external_memory == 7 * GIB
    driver.plays(gpu(FIRST, f"compute {os.getpid()} {GIB}"))
    (sample,) = driver.sample()
    assert (sample.processes[0].memory, sample.notes) == (GIB, ())


def test_rule_18_what_may_not_be_read_is_unknown_and_counts(driver: Driver, child: Start) -> None:
    """A process that /proc hides from us is external, with all its memory."""
    visible = child()
    script = gpu(FIRST, f"compute {NOBODY} {3 * GIB}", f"compute {visible.pid} {GIB}", used=4)
    (sample,) = driver.starts(script).sample([own(1, visible.pid)])
    hidden, mine = sample.processes
    assert (hidden.user, hidden.command, hidden.job, hidden.memory) == (None, None, None, 3 * GIB)
    assert mine.job == 1
    device = Device(sample, 0.0)
    assert device.foreign_users == {None}
    assert load_of(device, (), stale=False).external_memory == 4 * GIB


def test_rule_18_user_and_command_are_told_where_they_are_readable(
    driver: Driver, child: Start
) -> None:
    """Also of another user's process."""
    if os.getuid():
        pytest.skip("only root can start a process of another user")
    other = child("sleep", "1000", user=65534)
    (sample,) = driver.starts(gpu(FIRST, f"compute {other.pid} 1")).sample()
    (process,) = sample.processes
    assert process.user in ("nobody", "65534")
    assert process.command == "sleep 1000"


def test_rule_18_the_coordinator_signals_nobody() -> None:
    """Not others and not its own: it asks launchers."""
    folder = Path(proc.__file__).parent
    words = ("os.kill", "killpg", "pidfd_send_signal")
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert texts
    assert [name for name, text in texts.items() if any(word in text for word in words)] == []


def test_rule_19_errors_are_told_apart_by_value(library: Path, tmp_path: Path) -> None:
    """nvidia-ml-py's errors can be neither hashed nor compared with anything else."""
    program = (
        "import pynvml\n"
        "error = pynvml.NVMLError(15)\n"
        "try:\n    hash(error)\nexcept TypeError:\n    print('no hash')\n"
        "try:\n    error == None\nexcept AttributeError:\n    print('no comparison')\n"
        "print(issubclass(pynvml.NVMLLibraryMismatchError, pynvml.NVMLError))\n"
        "print(error.value)\n"
    )
    told = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()
    assert told == ["no hash", "no comparison", "False", "15"]
    folder = Path(module.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    assert not any("error ==" in text or "error in" in text for text in texts)
