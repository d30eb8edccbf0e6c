"""The processes of one job: all that descend from its launcher, to which orphans come back.

While the launcher is a subreaper no grandchild can leave its sight by losing its parent;
PR_SET_CHILD_SUBREAPER in prctl(2).
"""

import os
import signal

from gpurun.launcher import process
from gpurun.launcher.process import Process

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans(yes: bool) -> None:
    """Become the parent of descendants that lose theirs, or stop being it."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def has_children() -> bool:
    """Whether this process has any child, also one that has ended and was not reaped."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


class Tree:
    """The job's living processes; those in `others` and what comes from them are not the job's."""

    def __init__(self) -> None:
        self.others: set[int] = set()
        # `exec gpurun` in a shell hands us the children that the shell had.
        self.others = {found.pid for found in self.living()}

    def living(self) -> list[Process]:
        """From the top down; ended ones that nobody has reaped yet are left out."""
        if not has_children():
            return []
        below: dict[int, list[Process]] = {}
        for found in process.every():
            if found.pid not in self.others:
                below.setdefault(found.parent, []).append(found)
        ordered = list(below.get(os.getpid(), ()))
        for found in ordered:  # grows while it is walked: breadth first
            ordered += below.get(found.pid, ())
        return [found for found in ordered if found.state not in "ZX"]

    def kill(self, main: int) -> None:
        """Freeze the tree, then SIGKILL it from the leaves; the main process is last."""
        for pid in reversed(self.freeze(main)):
            send_signal(pid, signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to every process of the tree."""
        for found in self.living():
            send_signal(found.pid, number)

    def go_on(self) -> None:
        """Continue all of it, from the leaves: whoever watches its children sees none stopped."""
        for found in reversed(self.living()):
            send_signal(found.pid, signal.SIGCONT)

    def freeze(self, main: int) -> list[int]:
        """Stop the main process, then all others, until no new one appears.

        From the top, so that no supervisor (torchrun, a shell script) can see a worker end and
        act on it. Returns the pids in the order in which they were stopped.
        """
        frozen = [main]
        send_signal(main, signal.SIGSTOP)
        while fresh := [found.pid for found in self.living() if found.pid not in frozen]:
            for pid in fresh:
                send_signal(pid, signal.SIGSTOP)
            frozen += fresh
        return frozen


def send_signal(pid: int, number: int) -> None:
    """Signal a process that may have ended, or belong to another user (a setuid program)."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
