"""Who continues stopped processes where their launcher ends before it could.

A launcher can be killed at any instant. The end of its pipe tells the guard, a shell in a process
group of its own, so that neither Ctrl-C nor Ctrl-Z reaches it.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterable

_SCRIPT = 'read -r word; kill -CONT "$@"'


class Guard:
    """A process that lives as long as the processes are to stay stopped."""

    def __init__(self, stopped: Iterable[int], mask: Collection[int]) -> None:
        """Start it; raise OSError where no process can be started. `mask` is what it blocks."""
        waits, self._alive = os.pipe()
        words = ("sh", "-c", _SCRIPT, "gpurun", *map(str, stopped))
        silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
        try:
            self.pid = os.posix_spawn(
                "/bin/sh",
                words,
                {},
                file_actions=[(os.POSIX_SPAWN_DUP2, waits, 0), *silent],
                setpgroup=0,
                setsigmask=mask,
            )
        except OSError:
            os.close(self._alive)
            raise
        finally:
            os.close(waits)

    def dismiss(self) -> None:
        """The processes go on, or stay stopped, by somebody else's word."""
        with contextlib.suppress(ChildProcessError):  # somebody has ended it, and it was reaped
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self._alive)
