"""Ends that launchers left in files."""

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurun.coordinator.spool import forget, spooled, spooled_for
from gpurun.protocol.messages import Exited, SpawnFailed

EXITED = Exited(job=3, attempt=2, code=1, request=7, survivors=(5,))
FAILED = SpawnFailed(job=4, attempt=1, code=127)


def put(folder: str, name: str, data: bytes) -> None:
    with open(f"{folder}/{name}", "wb") as file:
        file.write(data)


def test_each_end_is_read_with_the_uuid_of_its_job(folder: str) -> None:
    put(folder, "b.json", msgspec.json.encode(EXITED))
    put(folder, "a.json", msgspec.json.encode(FAILED))
    assert list(spooled(folder)) == [("a", FAILED), ("b", EXITED)]
    assert spooled_for(folder, "b") == EXITED
    assert spooled_for(folder, "c") is None


def test_without_a_folder_nothing_was_left(folder: str) -> None:
    assert list(spooled(f"{folder}/none")) == []
    assert spooled_for(f"{folder}/none", "a") is None


def test_what_is_still_being_written_is_not_read(folder: str) -> None:
    put(folder, "a.json.new", msgspec.json.encode(EXITED))
    assert list(spooled(folder)) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[]", b'{"type":"Leave","job":1}', b'{"type":"Exited","job":1}'],
)
def test_what_cannot_be_read_is_put_aside_and_kept(folder: str, data: bytes) -> None:
    """It is asked about once; a person may still look at it."""
    put(folder, "a.json", data)
    put(folder, "b.json", msgspec.json.encode(EXITED))
    assert list(spooled(folder)) == [("b", EXITED)]
    assert sorted(os.listdir(folder)) == ["a.json.unreadable", "b.json"]


def test_what_is_written_down_is_forgotten_and_twice_is_nothing(folder: str) -> None:
    put(folder, "a.json", msgspec.json.encode(EXITED))
    forget(folder, "a")
    forget(folder, "a")
    assert os.listdir(folder) == []


@given(data=st.binary(max_size=100))
def test_no_file_stops_the_reading(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = str(tmp_path_factory.mktemp("ends"))
    put(folder, "a.json", data)
    assert list(spooled(folder)) == []
