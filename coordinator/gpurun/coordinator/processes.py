"""What /proc says of processes: who they are, whether they live, and to which job they belong.

A pid is used again; a pid with its start time names one process until the machine restarts. The
fields are those of proc_pid_stat(5).
"""

import functools
import os
import pwd
from collections.abc import Sequence

import msgspec

from gpurun.coordinator.core.sample import OwnProcess


class Stat(msgspec.Struct, frozen=True):
    """The fields of /proc/PID/stat that matter here."""

    state: str
    parent: int
    group: int
    threads: int
    start_time: int
    """Clock ticks after the start of the machine."""

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs: a leader that has ended may leave threads that go on."""
        return self.state in "ZX" and self.threads <= 1


def stat(pid: int) -> Stat | None:
    """Read one process; None where there is none, or none that we may see."""
    data = _read(f"/proc/{pid}/stat")
    if data is None:
        return None
    # The name in parentheses may itself hold parentheses and spaces: count from the last one.
    fields = data.rpartition(b")")[2].split()
    return Stat(
        fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[17]), int(fields[19])
    )


def start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None where there is no such process."""
    found = stat(pid)
    return None if found is None else found.start_time


def boot_id() -> str:
    """What names this run of the machine, and with it the meaning of a start time."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def alive(pid: int, start_time: int) -> bool:
    """Whether that very process still runs; one that only waits to be reaped does not."""
    found = stat(pid)
    return found is not None and found.start_time == start_time and not found.ended


def user_of(pid: int) -> str | None:
    """Name of the user that it runs as, or the number where it has no name."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    return _name(uid)


def command_of(pid: int) -> str | None:
    """Its command line; None for a kernel thread and for what we may not see."""
    data = _read(f"/proc/{pid}/cmdline")
    return data.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace") if data else None


class Table:
    """One look at the processes: each is read once, so that ancestors in common cost nothing."""

    def __init__(self, roots: Sequence[OwnProcess]) -> None:
        self._stats: dict[int, Stat | None] = {}
        self._tops = {root.launcher: root.job for root in roots if self._led(root)}
        self._tops |= {root.pid: root.job for root in roots if self._is_itself(root)}
        self._groups = {
            group: root.job
            for root in roots
            if not self._led(root)
            for group in (self._group(root), self._launchers_group(root))
        }

    def stat(self, pid: int) -> Stat | None:
        """Give what `stat` gave for it first."""
        if pid not in self._stats:
            self._stats[pid] = stat(pid)
        return self._stats[pid]

    def owner(self, pid: int) -> int | None:
        """Give the job that has it in its tree; where the launcher is gone, in its group.

        The launcher is a child subreaper: what a job leaves behind hangs below it. With no
        launcher such processes hang below init, and their group alone tells whose they are.
        """
        above, found = pid, self.stat(pid)
        group = found.group if found else 0
        while found is not None:
            if above in self._tops:
                return self._tops[above]
            above, found = found.parent, self.stat(found.parent)
        return self._groups.get(group) if group else None

    def _led(self, root: OwnProcess) -> bool:
        """Whether its launcher is there, below which all of it hangs."""
        found = self.stat(root.launcher) if root.launcher else None
        return found is not None and found.start_time == root.launcher_start and not found.ended

    def _is_itself(self, root: OwnProcess) -> bool:
        found = self.stat(root.pid)
        return found is not None and found.start_time == root.start_time

    def _launchers_group(self, root: OwnProcess) -> int:
        """Give the group that a terminal's launcher led: it bears its pid while anyone is in it."""
        found = self.stat(root.launcher)
        used_again = found is not None and found.start_time != root.launcher_start
        return 0 if used_again else root.launcher

    def _group(self, root: OwnProcess) -> int:
        """Give the group that is the job's own: the root's, unless somebody else's shell leads it.

        The launcher led it and is gone, or the root leads it itself. While a group bears a pid the
        kernel gives that pid to nobody: another process with the root's says the group is gone.
        """
        found = self.stat(root.pid)
        if found is None:
            return root.pid
        if not self._is_itself(root):
            return 0
        leader = self.stat(found.group)
        led = leader is not None and not leader.ended and found.group != root.pid
        return 0 if led else found.group


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it ended meanwhile (ENOENT, ESRCH), or is hidden from us
        return None


@functools.cache
def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
