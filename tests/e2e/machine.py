"""A machine of its own: the real command and coordinator, with simulated devices, in a folder."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import IO, Any

import msgspec

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTS = tuple(f"{ROOT}/{part}" for part in ("protocol", "launcher", "coordinator", "sdk"))
EXAMPLES = f"{ROOT}/examples/pytorch"
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts")
DEADLINE = 60.0
"""Seconds for whatever a test waits for: on a busy machine PyTorch alone takes ten to import."""
_LOG = """
SELECT job, boot, trigger, state, reservations, detail FROM story WHERE ? IN (0, job) ORDER BY id
"""

Completed = subprocess.CompletedProcess[str]


class Line(msgspec.Struct, frozen=True):
    """One line of the log of transitions and reservations."""

    job: int
    at: float
    trigger: str
    state: str
    memory: int
    """Bytes reserved, over all devices."""
    utilization: float
    """Shares reserved, over all devices."""
    detail: str


class Running:
    """A program that runs, with every line that it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        assert process.stdout
        assert process.stderr
        self._readers = [
            threading.Thread(target=_read, args=(process.stdout, self.out), daemon=True),
            threading.Thread(target=_read, args=(process.stderr, self.err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def says(self, words: str) -> bool:
        """Whether a line with these words is out."""
        return any(words in line for line in (*self.out, *self.err))

    @property
    def said(self) -> str:
        """All of it, for a failing test."""
        return "\n".join((*self.out, *self.err))

    def end(self, deadline: float = DEADLINE) -> int:
        """Wait until it has ended by itself and give its exit code."""
        code = self.process.wait(deadline)
        for reader in self._readers:
            reader.join(deadline)
        return code


class Machine:
    """Folders, an environment, `gpurun` on the PATH, and all that a test starts there."""

    def __init__(self, devices: str = "sim:24GiB", config: str = "") -> None:
        self.folder = tempfile.mkdtemp(prefix="ge-")  # short, because a socket's path is
        self.runtime = f"{self.folder}/r"
        self.state = f"{self.folder}/s/{os.uname().nodename}"
        self._gate = f"{self.folder}/gate"
        self._started: list[Running] = []
        self._write("config.toml", config)
        self.gpurun = self._command()
        self.environment = _plain() | {
            "GPURUN_RUNTIME_DIR": self.runtime,
            "GPURUN_STATE_DIR": f"{self.folder}/s",
            "GPURUN_CONFIG": f"{self.folder}/config.toml",
            "GPURUN_DEVICES": devices,
            "PYTHONPATH": os.pathsep.join(PARTS),
            "PATH": os.pathsep.join(
                (f"{self.folder}/bin", os.path.dirname(sys.executable), os.environ["PATH"])
            ),
            "OMP_NUM_THREADS": "1",  # a pool of threads on a busy machine mostly waits for itself
        }

    def _command(self) -> str:
        """The script that an installation would put on the PATH."""
        path = self._write(
            "bin/gpurun", f"#!{sys.executable}\nfrom gpurun_entry import main\n\nmain()\n"
        )
        os.chmod(path, 0o700)
        return path

    def _write(self, name: str, text: str) -> str:
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    # --- programs

    def write_script(self, name: str, text: str) -> str:
        """A script of this machine's user."""
        return self._write(name, text)

    def start(self, *arguments: str, **changes: Any) -> Running:
        """Start `gpurun ARGUMENTS`, away from any terminal."""
        return self.start_program(self.gpurun, *arguments, **changes)

    def start_program(self, *command: str, **changes: Any) -> Running:
        """Start any program of this machine's user; `changes` are for its environment."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment | changes,
            cwd=self.folder,
            start_new_session=True,
        )
        self._started.append(Running(process))
        return self._started[-1]

    def run(self, *arguments: str, deadline: float = DEADLINE, **changes: Any) -> Completed:
        """Run `gpurun ARGUMENTS` to its end."""
        program = self.start(*arguments, **changes)
        code = program.end(deadline)
        out, err = "\n".join(program.out), "\n".join(program.err)
        return subprocess.CompletedProcess(arguments, code, out, err)

    def wait_until(
        self,
        condition: Callable[[], bool],
        deadline: float = DEADLINE,
        alive: Iterable[Running] = (),
    ) -> None:
        """Wait for a condition; fail at the deadline, and once one of the programs has ended."""
        end = time.monotonic() + deadline
        while not condition():
            for program in alive:
                assert program.process.poll() is None or condition(), program.said
            assert time.monotonic() < end, "\n".join(p.said for p in self._started)
            time.sleep(0.01)

    # --- what gpurun says

    def status(self, *options: str) -> Any:
        """What `gpurun status --json` shows."""
        return _json(self.run("status", "--json", *options))

    def job(self, number: int) -> Any:
        """One job as status shows it, also after its end."""
        return next(job for job in self.status("--all")["jobs"] if job["id"] == number)

    def story(self, number: int) -> Any:
        """What `gpurun why --json` tells of a job, oldest first."""
        return _json(self.run("why", str(number), "--json"))["entries"]

    def log(self, number: int = 0) -> list[Line]:
        """The log itself, of one job or of all: what the coordinator has written so far."""
        path = f"file:{self.state}/jobs.sqlite?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
                rows = database.execute(_LOG, (number,)).fetchall()
        except sqlite3.OperationalError:  # there is none yet, or no table in it
            return []
        return [_line(*row) for row in rows]

    def count(self, number: int, trigger: str) -> int:
        """How often it has happened to a job."""
        return sum(line.trigger == trigger for line in self.log(number))

    def state_of(self, number: int) -> str:
        """The state of a job, as last written; empty before it is in the store."""
        lines = self.log(number)
        return lines[-1].state if lines else ""

    # --- jobs that end when the test says so

    def start_gated(self, *options: str, mem: str = "16GiB", util: int = 60) -> Running:
        """Start a job that runs until `open_gate`, and wait until it does."""
        os.mkfifo(self._gate)
        told = (f"--mem={mem}", f"--util={util}")
        job = self.start(*told, *options, "--", "cat", self._gate)
        self.wait_until(lambda: job.says(" starts on "), alive=[job])
        return job

    def open_gate(self) -> None:
        """Let the gated job end with 0."""
        self.wait_until(self._opened)

    def _opened(self) -> bool:
        try:
            os.close(os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # ENXIO: it has not opened its end yet
            return False
        return True

    # --- the coordinator

    @property
    def coordinator(self) -> int:
        """Its pid; 0 while none runs. Taking its lock to find out could be in a new one's way."""
        try:
            with open(f"{self.runtime}/coordinator.lock", encoding="utf-8") as lock:
                pid = int(lock.read() or 0)
        except FileNotFoundError:
            return 0
        return pid if pid and alive(pid) else 0

    def kill_coordinator(self) -> None:
        """Kill it with SIGKILL, at whatever it is doing, and see it gone."""
        pid = self.coordinator
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not alive(pid))

    def close(self) -> None:
        """End all that was started here, and the coordinator."""
        for program in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.process.pid, signal.SIGKILL)
            program.end()
        end = time.monotonic() + DEADLINE
        while (pid := self.coordinator) and time.monotonic() < end:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        shutil.rmtree(self.folder, ignore_errors=True)


def alive(pid: int) -> bool:
    """Whether a process runs: not ended, and not a zombie that waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def one_error(text: str) -> str:
    """The one line of a refusal, without its beginning."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("gpurun: error: "), text
    return lines[0].removeprefix("gpurun: error: ")


def _plain() -> dict[str, str]:
    """The caller's environment with nothing of gpurun, of devices or of no byte code in it."""
    dropped = ("GPURUN_", "CUDA_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def _line(job: int, at: float, trigger: str, state: str, reservations: str, detail: str) -> Line:
    held = json.loads(reservations)
    memory, utilization = (sum(one[name] for one in held) for name in ("memory", "utilization"))
    return Line(job, at, trigger, state, memory, utilization, detail)


def _json(completed: Completed) -> Any:
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def _read(stream: IO[str], lines: list[str]) -> None:
    with stream:
        for line in stream:
            lines.append(line.rstrip("\n"))  # noqa: PERF401 - others read it meanwhile
