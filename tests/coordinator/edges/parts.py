"""A coordinator as a real process, and a client that speaks the protocol to it."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import TypeVar

import zmq
from tests.coordinator.gpus.helpers import wait_until

from gpurun.coordinator.processes import start_time
from gpurun.protocol import messages as m
from gpurun.protocol.codec import decode_reply, encode
from gpurun.protocol.job import Held, JobSpec
from gpurun.protocol.quantity import GIB
from gpurun.protocol.version import PROTOCOL, VERSION

DEADLINE = 15.0
M = TypeVar("M", bound=m.Message)
T = TypeVar("T")
Process = subprocess.Popen[bytes]
LAUNCHER = """
import sys, zmq
socket = zmq.Context.instance().socket(zmq.DEALER)
socket.connect(sys.argv[1])
socket.send(bytes.fromhex(sys.argv[2]))
print(socket.recv().hex(), flush=True)
sys.stdin.read()
"""
"""A launcher that submits and then only lives, until its stdin ends."""


def gathered(source: Callable[[], Iterable[T]], count: int) -> list[T]:
    """Ask the source until it has given so many; it is not to give more."""
    found: list[T] = []

    def ask() -> bool:
        found.extend(source())
        return len(found) >= count

    wait_until(ask)
    assert len(found) == count
    return found


class Coordinator:
    """One daemon after another in one folder."""

    def __init__(self, folder: str, **environment: str) -> None:
        self.runtime, self.state = f"{folder}/r", f"{folder}/s/{os.uname().nodename}"
        self.socket = f"{self.runtime}/coordinator.sock"
        kept = {n: v for n, v in os.environ.items() if not n.startswith("GPURUN_")}
        self.environment: Mapping[str, str] = {
            **kept,
            "GPURUN_RUNTIME_DIR": self.runtime,
            "GPURUN_STATE_DIR": f"{folder}/s",
            "GPURUN_CONFIG": f"{folder}/config.toml",
            "GPURUN_DEVICES": "sim:24GiB",
            **environment,
        }
        with open(f"{folder}/config.toml", "a", encoding="utf-8"):
            pass  # what is named must be there
        self.started: list[Process] = []
        self._pipes: dict[int, int] = {}

    def launch(self, *options: str, ready: bool = True) -> Process:
        """Start one; it may not be ready yet, or never be."""
        command = [sys.executable, "-m", "gpurun.coordinator", *options]
        reader, writer = os.pipe()
        if ready:
            command += ["--ready-fd", str(writer)]
        process = subprocess.Popen(
            command, env=self.environment, pass_fds=[writer], stderr=subprocess.PIPE
        )
        os.close(writer)
        self._pipes[process.pid] = reader
        self.started.append(process)
        return process

    def word(self, process: Process) -> str:
        """What it says to whoever started it; empty when it ends without a word."""
        reader = self._pipes.pop(process.pid)
        try:
            assert select.select([reader], [], [], DEADLINE)[0], "not a word"
            return os.read(reader, 4096).decode()
        finally:
            os.close(reader)

    def start(self, *options: str) -> Process:
        """Start one and wait until it is ready."""
        process = self.launch(*options)
        assert self.word(process) == "ready\n"
        return process

    def fails(self, *options: str, ready: bool = True) -> str:
        """Start one that cannot run, and give the one line that it says."""
        process = self.launch(*options, ready=ready)
        _, said = process.communicate(timeout=DEADLINE)
        assert process.returncode == 125
        text = self.word(process) if ready else said.decode()
        assert b"Traceback" not in said
        assert len(text.splitlines()) == 1
        return text

    def log(self) -> str:
        """What it has written down."""
        with open(f"{self.state}/coordinator.log", encoding="utf-8") as file:
            return file.read()

    def close(self) -> None:
        """Leave nothing behind."""
        for process in self.started:
            process.kill()
            process.communicate(timeout=DEADLINE)
        for reader in self._pipes.values():
            os.close(reader)


class Client:
    """A connection that has said hello."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", path: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(f"ipc://{path}")
        self.unread: list[m.Message] = []
        self.say(m.Hello(protocol=PROTOCOL, version=VERSION))

    def say(self, *messages: m.Message) -> None:
        """Send messages."""
        for message in messages:
            self.socket.send(encode(message))

    def expect(self, kind: type[M]) -> M:
        """Give the next message of this kind; what came before it stays unread."""
        end = time.monotonic() + DEADLINE
        while True:
            for message in self.unread:
                if isinstance(message, kind):
                    self.unread.remove(message)
                    return message
            left = end - time.monotonic()
            assert left > 0, f"no {kind.__name__}; only {self.unread}"
            if self.socket.poll(ceil(left * 1000)):
                self.unread.append(decode_reply(self.socket.recv()))

    def ask(self, question: m.Message, kind: type[M]) -> M:
        """Say something and give the answer to it."""
        self.say(question)
        return self.expect(kind)

    def status(self) -> m.StatusReply:
        """Give the whole machine, with what has ended."""
        return self.ask(m.AskStatus(everything=True), m.StatusReply)

    def states(self) -> dict[int, str]:
        """Give the state of every job."""
        return {job.id: job.state for job in self.status().status.jobs}

    def submit(self, uuid: str, memory: int = 2, held: Held | None = None, **spec: object) -> int:
        """Submit a job of so many GiB and 10 %; give its number."""
        return self.ask(submission(uuid, memory, held, **spec), m.Accepted).job

    def start(self, job: int, process: Process) -> Held:
        """Use the lease of a job for a real process."""
        grant = self.expect(m.Grant)
        began = start_time(process.pid) or 0
        self.say(m.Spawned(job=job, attempt=grant.attempt, pid=process.pid, start_time=began))
        return Held(job=job, attempt=grant.attempt, pid=process.pid, start_time=began)


def submission(uuid: str, memory: int = 2, held: Held | None = None, **spec: object) -> m.Submit:
    """Build what a launcher says first."""
    whole = JobSpec(
        command=("python", "x.py"),
        cwd="/",
        name="x.py",
        memory=memory * GIB,
        utilization=0.1,
        **spec,  # type: ignore[arg-type]
    )
    return m.Submit(uuid=uuid, spec=whole, held=held)
