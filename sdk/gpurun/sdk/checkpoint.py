"""Folders of checkpoints on disk: written whole or not at all, and checked when read.

    ROOT/000007-step-120/       numbered in the order of writing
        manifest.json           format, step, and each file's size and SHA-256
        sources.json            the program that wrote it
        rank-0/                 for each rank of the training
            run.pt              step and random states
            state/              what the training itself has written

A folder is filled under another name, each file and folder is flushed to disk, and the rename
makes it appear: what has its final name was complete. Sources: rename(2), fsync(2).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from gpurun.protocol.checkpoint import MANIFEST, SOURCES, number
from gpurun.sdk import sources
from gpurun.sdk.errors import CheckpointError, NoRoomError

FORMAT = 1
KEEP = 2
"""The newest, and the one before it in case that the disk has damaged the newest."""
BEST = ("min", "max")
"""Whether a metric is the better the smaller or the larger it is."""
SPARE = 1 << 20
"""Bytes to leave free beside the tensors: names, numbers, and the file system's own needs."""
_UNFINISHED = ".unfinished-"


class Written(NamedTuple):
    """A checkpoint that is durable."""

    path: str
    size: int
    """Bytes on disk."""


class Label(NamedTuple):
    """What a checkpoint's manifest says of it beside its files."""

    step: int
    run: int = 0
    """Which training of its script made it, from 0."""
    final: bool = False
    """Whether that training had ended."""
    metric: float | None = None
    """By which the best is known; None where nobody asked for that."""


class Keep(NamedTuple):
    """Which checkpoints of a training stay."""

    newest: int = KEEP
    best: str = ""
    """One of BEST, where the best stays as well."""


def write(
    root: str,
    label: Label,
    fill: Callable[[str], None],
    keep: Keep = Keep(),  # noqa: B008
) -> Written:
    """Make a checkpoint of the files that `fill(folder)` writes; discard what is not to be kept.

    Where anything fails, nothing is left behind, older checkpoints are untouched, and the
    error goes on to the caller.
    """
    os.makedirs(root, mode=0o700, exist_ok=True)
    _discard_unfinished(root)
    place = max((number(name) for name in _complete(root)), default=0) + 1
    folder = unfinished(root, place, os.getpid())
    path = f"{root}/{place:06d}-step-{label.step}"
    os.mkdir(folder, mode=0o700)
    try:
        fill(folder)
        size = _seal(folder, label)
        os.rename(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _flush(root)
    _discard_old(root, label.run, keep)
    return Written(path, size)


def label_of(path: str) -> Label | None:
    """What the manifest says; None where it cannot be read."""
    try:
        with open(f"{path}/{MANIFEST}", "rb") as file:
            manifest = json.load(file)
        return Label(*(manifest[field] for field in Label._fields))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def of_run(path: str, run: int) -> str | None:
    """The checkpoint with which this training of the script goes on, where the job does at `path`.

    That itself; else, for a training that was over by then, its last. None where it has none.
    Where nobody can read whose that at `path` is, the newest of this training.
    """
    label = label_of(path)
    if label is not None and label.run == run:
        return path
    root, last = os.path.split(os.path.abspath(path))
    for name, own in reversed(_labels(root, run)):
        if label is None or (own.final and number(name) < number(last)):
            return f"{root}/{name}"
    return None if label is not None or _labels(root) else path


def best(root: str, run: int, mode: str) -> str | None:
    """The checkpoint of this training with the best metric; the newest of several."""
    sign = 1 if mode == "max" else -1
    known = [
        (sign * label.metric, number(name), name)
        for name, label in _labels(root, run)
        if label.metric is not None
    ]
    return f"{root}/{max(known)[-1]}" if known else None


def _labels(root: str, run: int | None = None) -> list[tuple[str, Label]]:
    """Those of one training, or of all, oldest first."""
    labels = ((name, label_of(f"{root}/{name}")) for name in _complete(root))
    return [
        (name, label) for name, label in labels if label is not None and run in (None, label.run)
    ]


def _discard_old(root: str, run: int, keep: Keep) -> None:
    """What a training keeps is its own: that of another of the script stays."""
    mine = [name for name, _ in _labels(root, run)]
    stay = set(mine[-max(1, keep.newest) :])
    if keep.best and (chosen := best(root, run, keep.best)):
        stay.add(os.path.basename(chosen))
    for name in mine:
        if name not in stay:
            shutil.rmtree(f"{root}/{name}", ignore_errors=True)


def unfinished(root: str, place: int, pid: int) -> str:
    """The folder in which this process writes the checkpoint of this number.

    A job may run several programs at once, each with a training.
    """
    return f"{root}/{_UNFINISHED}{place:06d}-{pid}"


def number_of(folder: str) -> int:
    """The number of the checkpoint that is being written in this folder."""
    return int(folder.rsplit("-", 2)[1])


def newest_complete(path: str, run: int = 0) -> str:
    """The checkpoint at this path if it is whole, else the newest whole one of this training.

    Raise CheckpointError when there is none.
    """
    root, name = os.path.split(os.path.abspath(path))
    others = [other for other, _ in reversed(_labels(root, run)) if other != name]
    for candidate in (name, *others):
        try:
            verify(f"{root}/{candidate}")
        except CheckpointError:
            continue
        return f"{root}/{candidate}"
    raise CheckpointError(
        f"no complete checkpoint is left in {root}; start anew: run the command again with gpurun"
    )


def verify(path: str) -> None:
    """Read every byte and raise CheckpointError where it is not what was written."""
    try:
        with open(f"{path}/{MANIFEST}", "rb") as file:
            manifest = json.load(file)
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{path} has format {manifest['format']}, not {FORMAT}")
        for name, expected in manifest["files"].items():
            if _measure(f"{path}/{name}") != expected:
                raise CheckpointError(f"{path}/{name} is damaged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def require_room(folder: str, size: int) -> None:
    """Raise NoRoomError unless so many bytes, and some to spare, are free there."""
    system = os.statvfs(folder)
    free = system.f_bavail * system.f_frsize
    if free < size + SPARE:
        raise NoRoomError(
            f"the checkpoint needs {size + SPARE} bytes and {folder} has {free} free; "
            "free some, or point GPURUN_STATE_DIR to a larger disk"
        )


def _seal(folder: str, label: Label) -> int:
    """Write the manifest, flush everything, and return the bytes of all files."""
    with open(f"{folder}/{SOURCES}", "wb") as file:
        file.write(msgspec.json.encode(sources.note()))
    names = [
        os.path.relpath(f"{parent}/{name}", folder)
        for parent, _, files in os.walk(folder)
        for name in files
    ]
    files = {name: _measure(f"{folder}/{name}") for name in sorted(names)}
    text = json.dumps({"format": FORMAT, **label._asdict(), "files": files}, indent=1)
    with open(f"{folder}/{MANIFEST}", "wb") as file:
        file.write(text.encode())
    for parent, _, inside in os.walk(folder, topdown=False):
        for name in inside:
            os.chmod(f"{parent}/{name}", 0o600)
            _flush(f"{parent}/{name}")
        os.chmod(parent, 0o700)
        _flush(parent)
    return len(text) + sum(int(entry["size"]) for entry in files.values())


def _measure(path: str) -> dict[str, int | str]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": file.tell(), "sha256": digest}


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _complete(root: str) -> list[str]:
    """Names of the checkpoints there, oldest first."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    return sorted((name for name in names if number(name)), key=number)


def _discard_unfinished(root: str) -> None:
    for name in os.listdir(root):
        if name.startswith(_UNFINISHED) and not _is_being_written(name):
            shutil.rmtree(f"{root}/{name}", ignore_errors=True)


def _is_being_written(name: str) -> bool:
    """By another process, which lives: this one writes one checkpoint at a time."""
    pid = name.rpartition("-")[2]
    return pid != str(os.getpid()) and os.path.exists(f"/proc/{pid}")
