"""What `gpurun doctor` looks at: the coordinator, device files, the user's Python."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import msgspec

from gpurun.launcher.failure import Failure
from gpurun.launcher.peer import listener
from gpurun.launcher.places import socket_path
from gpurun.protocol.finding import Finding, finding
from gpurun.protocol.messages import AskDoctor, DoctorReply

DRIVER_DEADLINE = 30.0
"""Seconds for a first look at the devices: 1-3 for each without persistence mode."""
_HANGS = "the driver does not answer; see nvidia-smi, or restart the machine"
_decode = msgspec.json.Decoder(tuple[Finding, ...]).decode


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Everything, in the order in which a job needs it."""
    from gpurun.launcher.user_python import user_python

    try:
        yield from _coordinator(environment)
    except Failure as failure:
        yield finding("socket", str(failure))
    yield from device_files("/dev")
    yield from user_python(environment)


def _coordinator(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = socket_path(environment)
    pid = listener(path)
    if pid is None:
        yield Finding("socket", f"{path}: no coordinator runs; the first job starts one")
        yield from _would_find(environment)
        return
    yield Finding("socket", f"{path}: coordinator {pid} listens")
    yield from _sees()
    # What the next one would find: it reads and makes these anew.
    yield from _would_find(environment, "--without-devices")


def _sees() -> Iterator[Finding]:
    """What the running coordinator's monitor has found."""
    from gpurun.launcher.conversation import Conversation

    try:
        with Conversation() as conversation:
            yield from conversation.ask(AskDoctor(), DoctorReply).findings
    except Failure as failure:
        yield finding("coordinator", str(failure))


def _would_find(environment: Mapping[str, str], *only: str) -> Iterator[Finding]:
    """What a coordinator would find; asked of a process that may hang in the driver."""
    command = [sys.executable, "-P", "-m", "gpurun.coordinator.examine", *only]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=DRIVER_DEADLINE, check=True
        )
        yield from _decode(done.stdout)
    except subprocess.TimeoutExpired:
        yield finding("driver", _HANGS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines() or ["it said nothing"]
        yield Finding("coordinator", lines[-1], "reinstall gpurun-scheduler, or report it")


def device_files(root: str) -> Iterator[Finding]:
    """Whether the driver's device files may be used; where there are none the driver says more."""
    for name in sorted(os.listdir(root)):
        path = f"{root}/{name}"
        if name == "nvidiactl" or (name.startswith("nvidia") and name[6:].isdecimal()):
            usable = os.access(path, os.R_OK | os.W_OK)
            cure = "" if usable else "join the group that it belongs to (ls -l shows it)"
            text = f"{path} can be used" if usable else f"{path} is closed to you"
            yield Finding("permissions", text, cure)
