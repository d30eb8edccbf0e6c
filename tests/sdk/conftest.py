"""A training under gpurun needs an environment and, mostly, a coordinator."""

import os
from collections.abc import Iterator

import pytest
from tests.sdk.coordinator_double import ATTEMPT, JOB, TOKEN, Coordinator, short_folder

from gpurun.sdk import device_memory, say
from gpurun.sdk.link import Link


@pytest.fixture
def folder() -> Iterator[str]:
    """A short path for the socket and the checkpoints."""
    with short_folder() as path:
        yield path


@pytest.fixture
def under_gpurun(folder: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that a launcher makes for a first attempt."""
    environment = {
        "GPURUN_JOB": str(JOB),
        "GPURUN_ATTEMPT": str(ATTEMPT),
        "GPURUN_TOKEN": TOKEN,
        "GPURUN_SOCKET": os.path.join(folder, "s"),
        "GPURUN_CHECKPOINT_DIR": os.path.join(folder, "checkpoints"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(say, "_said", set())
    return environment


@pytest.fixture
def coordinator(under_gpurun: dict[str, str]) -> Iterator[Coordinator]:
    """A coordinator at the other end of the environment's socket."""
    with Coordinator(under_gpurun["GPURUN_SOCKET"]) as double:
        yield double


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The links that trainings open, newest last."""
    opened: list[Link] = []
    really_open = Link.open

    def remember_and_open(link: Link) -> None:
        opened.append(link)
        really_open(link)

    monkeypatch.setattr(Link, "open", remember_and_open)
    return opened


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The CPU as the device, with an allocator that counts what it is told."""
    told: list[int] = []
    monkeypatch.setattr(device_memory, "KIND", "cpu")

    def release() -> int:
        told.append(1)
        return 5

    monkeypatch.setattr(device_memory, "release", release)
    return told
