"""A checkpoint is whole or it is not there; what was damaged since is not believed."""

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from gpurun.sdk import checkpoint
from gpurun.sdk.checkpoint import Label
from gpurun.sdk.errors import CheckpointError, NoRoomError

FILES = {
    "rank-0/run.pt": b"numbers" * 40,
    "rank-0/state/state.pt": b"weights" * 400,
    "rank-0/state/empty": b"",
}


def fill(folder: str) -> None:
    """Write three files of different sizes."""
    os.makedirs(f"{folder}/rank-0/state")
    for name, content in FILES.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)


def test_what_another_process_is_writing_is_left_alone(folder: str) -> None:
    """Several programs of one job share the folder; what a dead one has begun is removed."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    begun = [checkpoint.unfinished(folder, 1, pid) for pid in (os.getppid(), dead.pid, os.getpid())]
    for path in begun:
        os.makedirs(path)
    assert checkpoint.write(folder, Label(1), fill).path
    assert [os.path.exists(path) for path in begun] == [True, False, False]


def content(path: str) -> dict[str, bytes]:
    """The bytes of the three files."""
    found = {}
    for name in FILES:
        with open(f"{path}/{name}", "rb") as file:
            found[name] = file.read()
    return found


def test_a_checkpoint_is_what_was_written_and_private(folder: str) -> None:
    """Size, step and content agree; only the owner can read it."""
    written = checkpoint.write(f"{folder}/job", Label(12), fill)
    assert os.path.basename(written.path) == "000001-step-12"
    assert checkpoint.newest_complete(written.path) == written.path
    assert content(written.path) == FILES
    for parent, _, names in os.walk(f"{folder}/job"):
        assert stat.S_IMODE(os.stat(parent).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(f"{parent}/{name}").st_mode) == 0o600


def test_the_last_two_are_kept(folder: str) -> None:
    """A third checkpoint removes the first, also when two are of the same step."""
    written = [checkpoint.write(folder, Label(step), fill).path for step in (5, 9, 9)]
    assert sorted(os.listdir(folder)) == [os.path.basename(path) for path in written[1:]]


def test_a_failed_one_leaves_nothing(folder: str) -> None:
    """The error goes on to the caller, and the older checkpoint is untouched."""
    first = checkpoint.write(folder, Label(1), fill).path

    def fail(unfinished: str) -> None:
        fill(unfinished)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(folder, Label(2), fail)
    assert os.listdir(folder) == [os.path.basename(first)]
    checkpoint.verify(first)


def test_everything_is_on_disk_before_the_name_is(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file and folder is flushed before the rename, and the folder above after it."""
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def flush(descriptor: int) -> None:
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def name(old: str, new: str) -> None:
        calls.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", name)
    path = checkpoint.write(folder, Label(1), fill).path
    before = {os.path.relpath(call, folder).partition("/")[2] for call in calls[:-2]}
    assert before == {*FILES, "manifest.json", "sources.json", "rank-0", "rank-0/state", ""}
    assert calls[-2:] == ["rename", folder]
    assert len(calls) == len(before) + 2
    assert os.path.isdir(path)


BOUNDARIES = ("mkdir", "open", "fsync", "rename", "chmod", "rmdir", "unlink")


def killed_at(boundary: int, folder: str) -> bool:
    """Write in a child that dies before its n-th call to the file system; whether it died."""
    child = os.fork()
    if child == 0:
        left = [boundary]

        def dying(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*arguments: Any, **options: Any) -> Any:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return call(*arguments, **options)

            return wrapped

        for name in BOUNDARIES:
            setattr(os, name, dying(getattr(os, name)))
        checkpoint.write(folder, Label(3), fill)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_pitfall_02_killed_at_any_boundary_a_whole_one_is_found(folder: str) -> None:
    """SIGKILL before each call to the file system, from the first to the last."""
    for step in (1, 2):
        checkpoint.write(folder, Label(step), fill)
    boundary = 0
    while killed_at(boundary, folder):
        newest = max(name for name in os.listdir(folder) if not name.startswith("."))
        found = checkpoint.newest_complete(f"{folder}/{newest}")
        assert os.path.basename(found) == newest
        assert content(found) == FILES
        boundary += 1
    assert boundary > 15
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def damage(path: str, kind: str) -> None:
    """Cut the file, flip one of its bits, or remove it."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    os.remove(path)
    if kind == "flip":
        data[len(data) // 2] ^= 4
    if kind != "remove":
        with open(path, "wb") as file:
            file.write(data if kind == "flip" else data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["cut", "flip", "remove"])
@pytest.mark.parametrize("name", ["rank-0/run.pt", "rank-0/state/state.pt", "manifest.json"])
def test_a_damaged_one_gives_way_to_the_one_before(folder: str, kind: str, name: str) -> None:
    """Whatever was done to whichever file, the newest complete checkpoint is found."""
    before, newest = (checkpoint.write(folder, Label(step), fill).path for step in (1, 2))
    damage(f"{newest}/{name}", kind)
    assert checkpoint.newest_complete(newest) == before


def test_none_left_is_an_error_that_says_what_to_do(folder: str) -> None:
    """A training must not start from nothing when it was to go on."""
    only = checkpoint.write(folder, Label(1), fill).path
    damage(f"{only}/rank-0/run.pt", "flip")
    with pytest.raises(CheckpointError, match="run the command again with gpurun"):
        checkpoint.newest_complete(only)


def test_another_format_is_not_read(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a later gpurun is named as such."""
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    path = checkpoint.write(folder, Label(1), fill).path
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2"):
        checkpoint.verify(path)


def test_room_is_measured(folder: str) -> None:
    """What fits is let through; what is larger than the disk is refused with both numbers."""
    checkpoint.require_room(folder, 1)
    with pytest.raises(NoRoomError, match=str((1 << 60) + checkpoint.SPARE)):
        checkpoint.require_room(folder, 1 << 60)
