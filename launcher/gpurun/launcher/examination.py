"""What `gpurun doctor` looks at: the coordinator, folders, device files, the user's Python."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

import msgspec

from gpurun.launcher.failure import Failure
from gpurun.launcher.peer import listener
from gpurun.launcher.places import paths, socket_path
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
        yield from _folders(environment)
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
    yield from _would_find(environment, "configuration")  # the next one reads it anew


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


def _folders(environment: Mapping[str, str]) -> Iterator[Finding]:
    places = paths(environment)
    yield folder(places.runtime, "GPURUN_RUNTIME_DIR", private=True)
    yield folder(places.state, "GPURUN_STATE_DIR", private=False)


def folder(path: str, variable: str, *, private: bool) -> Finding:
    """Whether a coordinator could use this folder, or make it."""
    there = path
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    found = os.stat(there)
    if not _is_writable(there):
        cure = f"see who may write there, or set {variable} to another folder"
        return Finding("permissions", f"{there} cannot be written", cure)
    if private and there == path and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        cure = f"chmod 700 it if it is yours, or set {variable} to another folder"
        return Finding("permissions", f"others may write in {path}", cure)
    return Finding("permissions", f"{path} can be written")


def _is_writable(path: str) -> bool:
    """Whether a file can be made there; it has no name, and is gone at once."""
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def device_files(root: str) -> Iterator[Finding]:
    """Whether the driver's device files may be used; where there are none the driver says more."""
    for name in sorted(os.listdir(root)):
        path = f"{root}/{name}"
        if name == "nvidiactl" or (name.startswith("nvidia") and name[6:].isdecimal()):
            usable = os.access(path, os.R_OK | os.W_OK)
            cure = "" if usable else "join the group that it belongs to (ls -l shows it)"
            text = f"{path} can be used" if usable else f"{path} is closed to you"
            yield Finding("permissions", text, cure)
