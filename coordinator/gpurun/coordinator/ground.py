"""What a coordinator needs before it starts: its folders, its lock, and descriptors."""

import contextlib
import fcntl
import os
import resource
import stat
import time
from typing import NamedTuple

from gpurun.protocol.paths import Paths

_HANDOVER = 3.0
"""Seconds to wait for a database that another coordinator is about to leave."""


class GroundError(Exception):
    """It cannot start here; the text is one line that says what to do."""


class TakenError(GroundError):
    """Another coordinator holds the lock."""


class Folder(NamedTuple):
    """One that a coordinator needs."""

    path: str
    variable: str
    """What names another."""
    private: bool

    @property
    def advice(self) -> str:
        """What to do about it."""
        return f"see who may write there, or set {self.variable} to another folder"

    def trouble(self) -> str:
        """Why it cannot be used, in one line; empty where it can. It is there."""
        path, found = self.path, os.lstat(self.path)
        if not stat.S_ISDIR(found.st_mode):
            return f"{path} is not a folder; {self.advice}"
        if self.private and (found.st_uid != os.getuid() or found.st_mode & 0o022):
            return (
                f"others may write in {path}; chmod 700 it if it is yours, or set "
                f"{self.variable} to another folder"
            )
        if not os.access(path, os.W_OK | os.X_OK):
            return f"the folder {path} cannot be written; {self.advice}"
        return ""


def folders(paths: Paths) -> tuple[Folder, ...]:
    """Where its socket lies, and where its database does."""
    return (
        Folder(paths.runtime, "GPURUN_RUNTIME_DIR", private=True),
        Folder(paths.state, "GPURUN_STATE_DIR", private=False),
    )


def prepare(paths: Paths) -> tuple[int, int]:
    """Make the folders and take both locks; return their descriptors, to be held for life.

    Two servers can bind one ipc path, and the first goes deaf: so a lock comes before the bind.
    Two runtime folders may share one database: so that has a lock too.
    """
    os.umask(0o077)
    for folder in folders(paths):
        _make(folder)
    _raise_descriptor_limit()
    lock, holder = _lock(paths.lock)
    if holder:
        text = f"a coordinator runs already (pid {holder}); gpurun coordinator status"
        raise TakenError(text)
    try:
        return lock, _lock_database(paths)
    except GroundError:
        os.close(lock)
        raise


def _lock_database(paths: Paths) -> int:
    """Wait a little: a coordinator that has lost its socket notices and ends within a second."""
    deadline = time.monotonic() + _HANDOVER
    while True:
        lock, holder = _lock(paths.database_lock)
        if not holder:
            return lock
        if time.monotonic() > deadline:
            raise GroundError(
                f"another coordinator (pid {holder}) uses {paths.state} with another runtime "
                f"folder; use that one's GPURUN_RUNTIME_DIR, or end it with kill {holder}"
            )
        time.sleep(_HANDOVER / 50)


def _make(folder: Folder) -> None:
    try:
        os.makedirs(folder.path, mode=0o700, exist_ok=True)
    except OSError as error:
        text = f"the folder {folder.path} cannot be made ({error.strerror}); {folder.advice}"
        raise GroundError(text) from None
    if trouble := folder.trouble():
        raise GroundError(trouble)


def _lock(path: str) -> tuple[int, str]:
    """Try to take a lock: its descriptor, or the pid of who holds it."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        text = f"the lock {path} cannot be opened ({error.strerror}); see what lies there"
        raise GroundError(text) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        return -1, holder or "unknown"
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock, ""


def _raise_descriptor_limit() -> None:
    """Past the limit libzmq aborts the process: have as many descriptors as the system gives."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
