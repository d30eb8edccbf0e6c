"""A private place for the demonstration: folders, a coordinator, and the programs that it runs."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from gpurun.launcher.conversation import Conversation
from gpurun.launcher.coordinator_stop import stop_coordinator
from gpurun.launcher.failure import Failure
from gpurun.launcher.places import paths
from gpurun.protocol.messages import AskStatus, StatusReply

NEEDED = ("torch", "sklearn")
GRACE = 10.0
ENDING = (signal.SIGTERM, signal.SIGHUP)


def ended_by(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's
    """Leave what is under way as Ctrl-C does, so that all that was started is ended."""
    raise SystemExit(128 + number)


@contextmanager
def private_stage(devices: str) -> Iterator[None]:
    """Give this process and its children a coordinator of their own for these devices."""
    folder = tempfile.mkdtemp(prefix="gpurun-demo-")
    before = dict(os.environ)
    for name in ("GPURUN_JOB", "GPURUN_TOKEN", "GPURUN_SOCKET"):
        os.environ.pop(name, None)
    os.environ.update(
        GPURUN_RUNTIME_DIR=f"{folder}/run",
        GPURUN_STATE_DIR=f"{folder}/state",
        GPURUN_CONFIG=f"{folder}/config.toml",
        GPURUN_DEVICES=devices,
        PYTHONUNBUFFERED="1",
        PATH=os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", ""))),
    )
    with open(f"{folder}/config.toml", "w", encoding="utf-8"):
        pass  # the defaults, whatever the user's own file says
    handlers = {number: signal.signal(number, ended_by) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        stop_coordinator(paths(os.environ).socket)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def example(name: str) -> str:
    """The path of an example: installed beside gpurun, or in the checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(here, "..", "..", "examples", "pytorch", name)
    checkout = os.path.join(here, *[".."] * 4, "examples", "pytorch", name)
    for path in (installed, checkout):
        if os.path.exists(path):
            return os.path.normpath(path)
    raise Failure(f"the example {name} is not installed; reinstall gpurun-scheduler")


def check_needs() -> None:
    """Raise Failure where the examples could not run."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise Failure(
            f"the demo trains with PyTorch and needs {' and '.join(missing)}; "
            "pip install 'gpurun-scheduler[demo]'"
        )


def check_devices() -> None:
    """Raise Failure where the stage's coordinator finds no device."""
    with Conversation() as conversation:
        status = conversation.ask(AskStatus(), StatusReply).status
    if not status.devices:
        raise Failure(status.problem or "this machine has no GPU; gpurun demo simulates one")


def gpurun(*arguments: str) -> "subprocess.Popen[str]":
    """Start `gpurun ARGUMENTS` with its output on one pipe."""
    command = [sys.executable, "-c", "from gpurun_entry import main; main()", *arguments]
    return started(command)


def started(command: list[str]) -> "subprocess.Popen[str]":
    """Start a program with its output on one pipe."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(*programs: "subprocess.Popen[str]") -> None:
    """End what still runs."""
    for program in programs:
        if program.poll() is None:
            program.terminate()
            try:
                program.wait(GRACE)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
