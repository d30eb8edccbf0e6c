"""The samples of what other versions say and have stored, and how they are made.

    python -m tests.compat.golden

writes each file that is not there; delete one to have it written anew. A released sample is never
written anew: what peers say and disks hold does not change with this code. A message that changes
raises PROTOCOL, a table that changes raises SCHEMA_VERSION, and each number has files of its own.
"""

import sqlite3
import tempfile
from pathlib import Path

import msgspec
from tests.protocol.examples import KINDS, example, filled

from gpurun.coordinator.core.effects import Record
from gpurun.coordinator.core.job import Job
from gpurun.coordinator.store import SCHEMA_VERSION, Store
from gpurun.protocol.codec import encode
from gpurun.protocol.job import JobState
from gpurun.protocol.version import PROTOCOL

HERE = Path(__file__).parent
MESSAGES = HERE / f"protocol_{PROTOCOL}.txt"
JOB = HERE / f"job_{SCHEMA_VERSION}.json"
DATABASE = HERE / f"schema_{SCHEMA_VERSION}.sql"


def messages() -> str:
    """One line for each message: its name, and an example of it in hex."""
    return "".join(f"{kind.__name__} {encode(example(kind)).hex()}\n" for kind in KINDS)


def job() -> str:
    """A job with every field set, as its row holds it."""
    return msgspec.json.format(msgspec.json.encode(filled(Job)).decode()) + "\n"


def database() -> str:
    """A store with a job that runs and one that has ended, as SQL."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/jobs.sqlite"
        store = Store(path)
        store.write([_record(7, JobState.RUNNING), _record(8, JobState.FAILED)])
        store.close()
        connection = sqlite3.connect(path)
        lines = [*connection.iterdump(), f"PRAGMA user_version = {SCHEMA_VERSION};"]
        connection.close()
    return "\n".join(lines) + "\n"


def _record(number: int, state: JobState) -> Record:
    whole = msgspec.structs.replace(filled(Job), id=number, uuid=f"uuid-{number}", state=state)
    return Record(cause="Exited", job=whole, at=5.0, wall=6.0, trigger="started", detail="told")


if __name__ == "__main__":
    for file, make in ((MESSAGES, messages), (JOB, job), (DATABASE, database)):
        if not file.exists():
            file.write_text(make())
