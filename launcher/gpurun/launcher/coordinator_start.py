"""Start a coordinator when none runs, as tmux and adb start their servers."""

import os
import sys
import time

from gpurun.launcher.clock import now
from gpurun.launcher.failure import Failure
from gpurun.launcher.peer import listener
from gpurun.protocol.paths import Paths

IDLE_EXIT = 600
"""Seconds without a job after which a coordinator that nobody started by hand ends."""
START_DEADLINE = 15.0
"""Seconds; the first look at devices that the driver has let go of takes 1-3 s for each."""
PROBE_INTERVAL = 0.02


def ensure_coordinator(paths: Paths) -> int:
    """The pid of the running coordinator, started here when there was none; else Failure."""
    found = listener(paths.socket)
    return _start(paths) if found is None else found


def _start(paths: Paths) -> int:
    """Start one, wait until it, or one that was faster, is ready, and return the pid."""
    from gpurun.launcher.detach import Detached

    deadline = now() + START_DEADLINE
    log = _open_log(paths)
    written = os.fstat(log).st_size
    # -P: whatever is called gpurun in the folder where it runs must not be imported.
    command = [sys.executable, "-P", "-m", "gpurun.coordinator", "--idle-exit", str(IDLE_EXIT)]
    coordinator = Detached(command, log)
    os.close(log)
    try:
        words = coordinator.words(deadline)
        if words == "" and coordinator.exit_code(deadline):  # 0: another one was faster
            raise Failure(f"the coordinator did not start: {_last_words(paths, written)}")
    finally:
        coordinator.leave()
    if words and words.startswith("error: "):
        raise Failure(words.removeprefix("error: "))
    return _await_listener(paths, deadline)


def _open_log(paths: Paths) -> int:
    try:
        os.makedirs(paths.state, mode=0o700, exist_ok=True)
        return os.open(paths.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(
            f"cannot write {paths.log}: {error.strerror}; set GPURUN_STATE_DIR to another folder"
        ) from None


def _await_listener(paths: Paths, deadline: float) -> int:
    while (pid := listener(paths.socket)) is None:
        if now() >= deadline:
            raise Failure(f"the coordinator did not start in time; see {paths.log}")
        time.sleep(PROBE_INTERVAL)
    return pid


def _last_words(paths: Paths, written: int) -> str:
    """The last line in its log beyond the first `written` bytes."""
    with open(paths.log, encoding="utf-8", errors="replace") as log:
        log.seek(written)
        lines = [line.strip() for line in log if line.strip()]
    return f"{lines[-1] if lines else 'it said nothing'}; see {paths.log}"
