"""What a coordinator needs before it starts: its folders, its lock, and descriptors."""

import contextlib
import fcntl
import os
import resource
import stat

from gpurun.protocol.paths import Paths


class GroundError(Exception):
    """It cannot start here; the text is one line that says what to do."""


class TakenError(GroundError):
    """Another coordinator holds the lock."""


def prepare(paths: Paths) -> int:
    """Make the folders and take the lock; return its descriptor, to be held for life."""
    os.umask(0o077)
    _folder(paths.runtime, "GPURUN_RUNTIME_DIR", private=True)
    _folder(paths.state, "GPURUN_STATE_DIR", private=False)
    _raise_descriptor_limit()
    return _lock(paths)


def _folder(path: str, variable: str, *, private: bool) -> None:
    advice = f"see who may write there, or set {variable} to another folder"
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except OSError as error:
        text = f"the folder {path} cannot be made ({error.strerror}); {advice}"
        raise GroundError(text) from None
    if not stat.S_ISDIR(found.st_mode):
        raise GroundError(f"{path} is not a folder; {advice}")
    if private and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise GroundError(
            f"others may write in {path}; chmod 700 it if it is yours, or set "
            f"{variable} to another folder"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise GroundError(f"the folder {path} cannot be written; {advice}")


def _lock(paths: Paths) -> int:
    """Two servers can bind one ipc path, and the first goes deaf: so the lock comes first."""
    try:
        lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        text = f"the lock {paths.lock} cannot be opened ({error.strerror}); see what lies there"
        raise GroundError(text) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        text = f"a coordinator runs already (pid {holder}); gpurun coordinator status"
        raise TakenError(text) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _raise_descriptor_limit() -> None:
    """Past the limit libzmq aborts the process: have as many descriptors as the system gives."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
