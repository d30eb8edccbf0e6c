"""A folder, an environment, a coordinator that obeys the test, and the real command."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
from tests.launcher.coordinator_double import CoordinatorDouble

import gpurun_entry
from gpurun.launcher import process

GPURUN = os.path.join(os.path.dirname(sys.executable), "gpurun")
DEADLINE = 15.0


@pytest.fixture(autouse=True, scope="session")
def plain_signals() -> None:
    """What whoever started the tests ignores (nohup, a shell's `&`) is not for the commands."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def folder() -> Iterator[str]:
    """Short, because a socket's path is."""
    path = tempfile.mkdtemp(prefix="gl-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def environment(folder: str) -> dict[str, str]:
    """The caller's, with gpurun's own places in the folder and no device set by anybody."""
    # Without its byte code Python compiles everything anew, three times as slow as for a user.
    dropped = ("GPURUN_", "CUDA_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "GPURUN_RUNTIME_DIR": f"{folder}/run",
        "GPURUN_STATE_DIR": f"{folder}/state",
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "PYTHONPATH": os.path.dirname(gpurun_entry.__file__),
    }


@pytest.fixture
def coordinator(environment: dict[str, str]) -> Iterator[CoordinatorDouble]:
    double = CoordinatorDouble(environment["GPURUN_RUNTIME_DIR"])
    yield double
    double.close()


Command = subprocess.Popen[str]
Start = Callable[..., Command]


@pytest.fixture
def start(folder: str, environment: dict[str, str]) -> Iterator[Start]:
    """Start the command, away from any terminal; whatever still runs at the end is killed."""
    started: list[Command] = []

    def start_command(*words: str, program: str = GPURUN, **changes: object) -> Command:
        options: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": environment,
            "cwd": folder,
            "start_new_session": True,
        }
        command = subprocess.Popen([program, *words], **(options | changes))  # type: ignore[call-overload]
        started.append(command)
        return command  # type: ignore[no-any-return]

    yield start_command
    for command in started:
        if command.poll() is None:
            os.killpg(command.pid, 9)
        command.communicate(timeout=DEADLINE)


def ended(command: Command) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that is to end by itself."""
    out, err = command.communicate(timeout=DEADLINE)
    return command.returncode, out, err


def wait_until(condition: Callable[[], bool], within: float = DEADLINE) -> None:
    """Wait for a condition; fail when it has not come true in that time."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it has not come true"
        time.sleep(0.005)


def state_of(pid: int) -> str:
    """R, S, T, Z … of proc(5); empty when there is no such process."""
    found = process.read(pid)
    return found.state if found else ""


def is_gone(pid: int) -> bool:
    """Whether it has ended; an orphan is a zombie until init has seen that."""
    return state_of(pid) in ("", "Z")


def inside_job(launcher: int) -> dict[str, str]:
    """What a program in job 3 of this launcher finds in its environment."""
    found = process.read(launcher)
    assert found
    named = f"{launcher}:{found.start_time}"
    return {"GPURUN_JOB": "3", "GPURUN_TOKEN": "t", "GPURUN_LAUNCHER": named}
