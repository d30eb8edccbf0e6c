"""What was said and stored by any released version is understood for ever."""

import sqlite3
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from tests.compat.golden import DATABASE, HERE, JOB, MESSAGES
from tests.protocol.examples import KINDS, REQUESTS, example

from gpurun.coordinator.core.job import Job
from gpurun.coordinator.store import Store
from gpurun.protocol.codec import decode_reply, decode_request, encode
from gpurun.protocol.job import JobState

GOLDEN = {
    name: bytes.fromhex(data)
    for name, data in (line.split() for line in MESSAGES.read_text().splitlines())
}


def test_the_samples_of_the_present_numbers_are_there() -> None:
    """A raised PROTOCOL or SCHEMA_VERSION brings its own: python -m tests.compat.golden."""
    assert MESSAGES.exists()
    assert JOB.exists()
    assert DATABASE.exists()


def test_every_message_has_its_golden_bytes_and_none_is_left_over() -> None:
    assert set(GOLDEN) == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_said_in_exactly_the_golden_bytes(kind: type) -> None:
    """A peer of the same protocol number was built on these; otherwise raise PROTOCOL."""
    assert encode(example(kind)).hex() == GOLDEN[kind.__name__].hex()


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_bytes_are_understood(kind: type) -> None:
    decode = decode_request if kind in REQUESTS else decode_reply
    assert decode(GOLDEN[kind.__name__]) == example(kind)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_another_reader_of_messagepack_sees_a_map_that_names_its_type(name: str) -> None:
    read = msgpack.unpackb(GOLDEN[name], use_list=False)
    assert read["type"] == name
    kind = next(kind for kind in KINDS if kind.__name__ == name)
    assert read == {"type": name} | msgspec.to_builtins(example(kind), str_keys=False)


@pytest.mark.parametrize("file", sorted(HERE.glob("job_*.json")), ids=lambda file: file.name)
def test_a_stored_job_of_every_schema_is_read_and_loses_nothing(file: Path) -> None:
    stored = msgspec.json.decode(file.read_bytes())
    job = msgspec.json.decode(file.read_bytes(), type=Job)
    again = msgspec.json.decode(msgspec.json.encode(job))
    assert _common(again, stored) == stored


def _common(read: object, stored: object) -> object:
    """What was read, without the fields that came later."""
    if isinstance(read, dict) and isinstance(stored, dict):
        return {name: _common(read[name], stored[name]) for name in stored}
    return read


@pytest.mark.parametrize("file", sorted(HERE.glob("schema_*.sql")), ids=lambda file: file.name)
def test_a_database_of_every_schema_is_opened_and_goes_on(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(file.read_text())
    connection.close()
    store = Store(str(path))
    running, ended = store.jobs()
    assert (running.id, running.state, running.spec.cwd) == (7, JobState.RUNNING, "text 2 é")
    assert (ended.id, ended.state) == (8, JobState.FAILED)
    assert store.next_id() == 9
    (line,) = store.story(8)
    assert (line.boot, line.wall, line.state, line.detail) == (5.0, 6.0, "failed", "told")
    store.close()
