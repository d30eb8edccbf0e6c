"""What /proc says about processes; proc(5).

A walk over all of /proc, because the kernel need not list a process's children.
"""

import os
from collections.abc import Iterator

import msgspec


class Process(msgspec.Struct, frozen=True):
    """One line of /proc/PID/stat."""

    pid: int
    name: str
    state: str
    parent: int
    start_time: int
    """Ticks since boot; with the pid it names one process for ever."""


def read(pid: int) -> Process | None:
    """The process, or None when there is none (any more)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            line = stat.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    opening, closing = line.index("("), line.rindex(")")
    fields = line[closing + 2 :].split()
    return Process(pid, line[opening + 1 : closing], fields[0], int(fields[1]), int(fields[19]))


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal; proc(5).

    One that blocks it may do so for a moment only, as every shell does around its children.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            lines = status.read().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    (caught,) = (int(line.split()[1], 16) for line in lines if line.startswith(b"SigCgt:"))
    return bool(caught >> (number - 1) & 1)


def every() -> Iterator[Process]:
    """All that live now."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := read(int(entry))):
            yield process


def is_descendant(pid: int, ancestor: int) -> bool:
    """Whether the process is the ancestor or comes from it."""
    while pid > 1 and pid != ancestor:
        process = read(pid)
        pid = process.parent if process else 0
    return pid == ancestor
