"""Who listens on the coordinator's socket: the kernel's word, before anything is said to it."""

import os
import sys

# The C module: `socket` itself builds enumerations for 4 ms, and one connect needs none of them.
from _socket import AF_UNIX, SO_PEERCRED, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, socket

from gpurun.launcher.failure import Failure

_UCRED = 12
"""Bytes of struct ucred: pid, uid and gid, four each; unix(7)."""


def listener(path: str) -> int | None:
    """The pid of the coordinator that listens there, 0 when it is too busy to say, or None.

    Raise Failure when the socket cannot be reached or is another user's (root's is welcome).
    """
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
    try:
        probe.connect(path)
        credentials = probe.getsockopt(SOL_SOCKET, SO_PEERCRED, _UCRED)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except BlockingIOError:  # its backlog is full: it is there
        return 0
    except OSError as error:
        raise Failure(
            f"cannot reach the coordinator at {path}: {error.strerror}; "
            "set GPURUN_RUNTIME_DIR to a folder of your own"
        ) from None
    finally:
        probe.close()
    pid, uid = (int.from_bytes(credentials[at : at + 4], sys.byteorder) for at in (0, 4))
    if uid not in (os.getuid(), 0):
        raise Failure(
            f"the socket {path} belongs to user {uid}; "
            "set GPURUN_RUNTIME_DIR to a folder of your own"
        )
    return pid
