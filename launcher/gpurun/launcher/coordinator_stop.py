"""Stop the coordinator: also one of another version, or that watches other devices."""

import select
import signal

from gpurun.launcher.failure import Failure
from gpurun.launcher.link import open_pidfd
from gpurun.launcher.peer import listener

STOP_DEADLINE = 10.0


def stop_coordinator(path: str) -> int:
    """Ask it to end, wait until it has, and return its pid; 0 when none runs.

    With a signal, because the coordinators that one must be able to stop include those that
    refuse a message: the kernel knows who may, whatever protocol is spoken.
    """
    pid = listener(path)
    if pid is None:
        return 0
    pidfd = open_pidfd(pid)
    if pidfd < 0:
        raise Failure("the coordinator is not to be seen from here; stop it where it was started")
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except PermissionError:
        raise Failure(f"the coordinator (pid {pid}) is root's; ask whoever runs it") from None
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    if not poller.poll(STOP_DEADLINE * 1000):
        raise Failure(f"the coordinator (pid {pid}) has not ended in {STOP_DEADLINE:.0f} s")
    return pid
