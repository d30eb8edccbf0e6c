"""Real processes, the real nvidia-ml-py on a scripted driver, and waiting for what is to come."""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gpurun.coordinator.core.sample import DeviceSample, OwnProcess
from gpurun.coordinator.processes import command_of, start_time

HERE = Path(__file__).parent
DEADLINE = 20.0
Child = subprocess.Popen[bytes]


class Driver:
    """A process that reads devices through the double."""

    def __init__(self, library: Path, script: Path) -> None:
        self._script = script
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "GPURUN_NVML_DOUBLE": str(script),
            "GPURUN_NVML_CALLS": f"{script}.calls",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "ask_nvml.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def plays(self, text: str) -> None:
        """Replace what the devices are from the next call on."""
        part = self._script.with_suffix(".part")
        part.write_text(text)
        part.replace(self._script)

    def starts(self, *devices: str) -> "Driver":
        """Open the devices of a script."""
        self.plays("\n".join(devices))
        assert self.ask("open") is None
        return self

    def ask(self, line: str) -> Any:
        """Give what the line was answered, as plain JSON."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], DEADLINE)[0], "no answer"
        return msgspec.json.decode(process.stdout.readline())

    def sample(self, own: Sequence[OwnProcess] = ()) -> tuple[DeviceSample, ...]:
        """Look at the devices once."""
        answer = self.ask(msgspec.json.encode(own).decode())
        return msgspec.convert(answer, tuple[DeviceSample, ...])

    def calls(self, name: str) -> int:
        """How often the library's function was called."""
        return self.recorded().count(name)

    def recorded(self) -> list[str]:
        """All calls of the library's functions so far, in order."""
        calls = self._script.with_suffix(".txt.calls")
        return calls.read_text().split() if calls.exists() else []

    def end(self) -> None:
        """Let the process run to its end."""
        self._process.communicate(timeout=DEADLINE)
        assert self._process.returncode == 0


def compiled(folder: Path, *options: str, name: str = "libnvidia-ml.so.1") -> Path:
    """Build the double into the folder and give the folder."""
    library = folder / name
    source = HERE / "nvml_double.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wall", "-Werror", *options, "-o", library, source], check=True
    )
    return folder


def wait_until(condition: Callable[[], bool]) -> None:
    """Come back as soon as it holds; fail where it never does."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.002)


@contextlib.contextmanager
def programs() -> Iterator[Callable[..., Child]]:
    """Start programs that are gone at the end; with no words, one that waits for its stdin."""
    children: list[Child] = []

    def start(*command: str, **options: Any) -> Child:
        process = subprocess.Popen(
            command or ("cat",), stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
        )
        children.append(process)
        # A program that has just begun has no command line for an instant.
        wait_until(lambda: command_of(process.pid) is not None)
        return process

    try:
        yield start
    finally:
        for process in children:
            process.kill()
            process.communicate(timeout=DEADLINE)


def python(program: str) -> tuple[str, ...]:
    """Give the command that runs these lines."""
    return (sys.executable, "-Sc", program)


def number(process: Child) -> int:
    """Read one line of the program's, such as the pid of its child."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], DEADLINE)[0], "nothing was said"
    return int(process.stdout.readline())


def own(job: int, pid: int, **changes: Any) -> OwnProcess:
    """Describe the main process of a job."""
    root = OwnProcess(
        job=job,
        pid=pid,
        start_time=start_time(pid) or 0,
        launcher=0,
        devices=(),
        memory=0,
        utilization=0.0,
    )
    if "launcher" in changes:
        changes.setdefault("launcher_start", start_time(changes["launcher"]) or 0)
    return msgspec.structs.replace(root, **changes)
