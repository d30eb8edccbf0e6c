"""A training is not gone on with by a program that is not the one that wrote its checkpoint."""

import hashlib
import os
import time
from collections.abc import Callable

import msgspec
import pytest
from tests.launcher.conftest import Command, Start, ended
from tests.launcher.coordinator_double import CoordinatorDouble, boottime, grant, waiting

from gpurun.protocol.checkpoint import SOURCES, Source
from gpurun.protocol.job import ReasonCode
from gpurun.protocol.messages import AskAgain, Changed, EndTree, Exited, Spawned

TRAINING = 'echo "resume ${GPURUN_RESUME-none}"; [ $GPURUN_ATTEMPT = 1 ] && exec sleep 60'


def source(path: str) -> Source:
    found = os.stat(path)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return Source(path, found.st_size, found.st_mtime_ns, digest)


@pytest.fixture
def module(folder: str) -> str:
    """A file of the program."""
    path = f"{folder}/model.py"
    write(path, "LAYERS = 3\n")
    return path


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def checkpoint_of(folder: str, *paths: str) -> str:
    """A checkpoint that names these files."""
    path = f"{folder}/000001-step-5"
    os.mkdir(path)
    with open(f"{path}/{SOURCES}", "wb") as file:
        file.write(msgspec.json.encode([source(path) for path in paths]))
    return path


def paused(start: Start, coordinator: CoordinatorDouble) -> Command:
    """A job whose tree has been ended for a pause."""
    command = start("sh", "-c", TRAINING)
    coordinator.admit()
    coordinator.expect(Spawned)
    assert command.stdout
    assert command.stdout.readline() == "resume none\n"
    coordinator.send(EndTree(job=1, attempt=1, request=7))
    coordinator.expect(Exited)
    return command


def touch(path: str) -> None:
    os.utime(path, ns=(5, 5))


def edit_in_place(path: str) -> None:
    """As long as before, and of the same second."""
    write(path, "LAYERS = 4\n")


def lengthen(path: str) -> None:
    write(path, "LAYERS = 3\nWIDTH = 9\n")


@pytest.mark.parametrize("change", [edit_in_place, lengthen, os.unlink])
def test_a_changed_file_is_said_and_nothing_is_spawned_until_it_may(
    start: Start,
    coordinator: CoordinatorDouble,
    folder: str,
    module: str,
    change: Callable[[str], None],
) -> None:
    other = f"{folder}/other.py"
    write(other, "")
    checkpoint = checkpoint_of(folder, other, module)
    command = paused(start, coordinator)
    change(module)
    coordinator.send(grant(attempt=2, resume=checkpoint))
    assert coordinator.expect(Changed) == Changed(job=1, attempt=2, file=module)
    text = "model.py has changed; gpurun resume --changed 1 goes on with it"
    coordinator.send(waiting(text, code=ReasonCode.CHANGED))
    coordinator.send(grant(attempt=3, resume=checkpoint, changed=True))
    assert coordinator.expect(Spawned).attempt == 3
    coordinator.end()
    _, out, err = ended(command)
    assert out == f"resume {checkpoint}\n"
    assert text in err


@pytest.mark.parametrize("change", [touch, lambda _: None], ids=["touched", "untouched"])
def test_what_says_the_same_is_the_same(
    start: Start,
    coordinator: CoordinatorDouble,
    folder: str,
    module: str,
    change: Callable[[str], None],
) -> None:
    checkpoint = checkpoint_of(folder, module)
    command = paused(start, coordinator)
    change(module)
    coordinator.send(grant(attempt=2, resume=checkpoint))
    assert coordinator.expect(Spawned).attempt == 2
    coordinator.end()
    ended(command)


def test_a_lease_that_runs_out_while_files_are_read_is_not_used(
    start: Start, coordinator: CoordinatorDouble, folder: str
) -> None:
    """They may lie far away; here one is a pipe, which gives nothing before it is closed."""
    slow, checkpoint = f"{folder}/slow.py", checkpoint_of(folder)
    os.mkfifo(slow)
    with open(f"{checkpoint}/{SOURCES}", "wb") as file:
        file.write(msgspec.json.encode([Source(slow, 0, 1, hashlib.sha256().hexdigest())]))
    command = paused(start, coordinator)
    deadline = boottime(0.2)
    coordinator.send(grant(attempt=2, resume=checkpoint, deadline=deadline))
    with open(slow, "wb"):
        while boottime(0.0) < deadline:
            time.sleep(0.01)
    assert coordinator.expect(AskAgain) == AskAgain(job=1, attempt=2)
    coordinator.send(grant(attempt=3, resume=checkpoint, changed=True))
    coordinator.expect(Spawned)
    coordinator.end()
    ended(command)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"of": "another kind"}'])
def test_a_checkpoint_that_names_nothing_stops_nobody(
    start: Start, coordinator: CoordinatorDouble, folder: str, content: bytes | None
) -> None:
    """The training itself looks whether it is whole."""
    checkpoint = checkpoint_of(folder)
    if content is None:
        os.unlink(f"{checkpoint}/{SOURCES}")
    else:
        with open(f"{checkpoint}/{SOURCES}", "wb") as file:
            file.write(content)
    command = paused(start, coordinator)
    coordinator.send(grant(attempt=2, resume=checkpoint))
    coordinator.expect(Spawned)
    coordinator.end()
    ended(command)
