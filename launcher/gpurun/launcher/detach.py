"""Start a process that has nothing of the caller's: terminal, folder, session, signals or files."""

import os
import select
import signal
from collections.abc import Sequence
from math import ceil

from gpurun.launcher.clock import now

_UNTOUCHABLE = (signal.SIGKILL, signal.SIGSTOP)


class Detached:
    """A program that says on a descriptor, `--ready-fd N`, when it is ready or why it is not.

    Until `leave` a guard is its parent, which ends with its exit code should it end.
    """

    def __init__(self, arguments: Sequence[str], log: int) -> None:
        self._ready, theirs = os.pipe()
        self._guard = os.fork()
        if self._guard == 0:
            code = 1
            try:
                code = _guard(arguments, log, theirs)
            finally:
                os._exit(code)
        os.close(theirs)

    def words(self, deadline: float) -> str | None:
        """The line that it writes; empty when it ends without one, None at the deadline."""
        said = b""
        while not said.endswith(b"\n"):
            if not _readable(self._ready, deadline):
                return None
            if not (more := os.read(self._ready, 4096)):
                break
            said += more
        return said.decode(errors="replace").strip()

    def exit_code(self, deadline: float) -> int | None:
        """Its exit code, or the number of the signal that ended it; None at the deadline."""
        pidfd = os.pidfd_open(self._guard)
        ended = _readable(pidfd, deadline)
        os.close(pidfd)
        if not ended:
            return None
        result = os.waitid(os.P_PID, self._guard, os.WEXITED | os.WNOWAIT)
        return result.si_status if result else None

    def leave(self) -> None:
        """Let the program live on as nobody's child."""
        os.close(self._ready)
        os.kill(self._guard, signal.SIGKILL)
        os.waitpid(self._guard, 0)


def _readable(fd: int, deadline: float) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0, ceil((deadline - now()) * 1000))))


def _guard(arguments: Sequence[str], log: int, ready: int) -> int:
    os.setsid()
    os.chdir("/")
    _keep_only(log, ready)
    child = os.posix_spawn(
        arguments[0],
        [*arguments, "--ready-fd", str(ready)],
        os.environ,
        setsigmask=(),
        setsigdef=[number for number in signal.valid_signals() if number not in _UNTOUCHABLE],
    )
    os.close(ready)  # or its end would not be seen when the program ends
    return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _keep_only(log: int, ready: int) -> None:
    """A file that stays open would keep the caller's locks and pipes alive."""
    null = os.open(os.devnull, os.O_RDWR)
    for source, standard in ((null, 0), (null, 1), (log, 2)):
        os.dup2(source, standard)
    os.set_inheritable(ready, True)
    os.closerange(3, ready)
    os.closerange(ready + 1, os.sysconf("SC_OPEN_MAX"))
