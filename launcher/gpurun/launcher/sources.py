"""Whether a program is still the one that wrote a checkpoint."""

import os

import msgspec

from gpurun.protocol.checkpoint import SOURCES, Source, number


def newest_checkpoint(folder: str) -> str:
    """The last that was written there; empty where there is none."""
    try:
        names = [name for name in os.listdir(folder) if number(name)]
    except OSError:
        return ""
    return f"{folder}/{max(names, key=number)}" if names else ""


def changed_source(checkpoint: str) -> str:
    """The first file of the program that differs from what it was; empty where none does."""
    try:
        with open(f"{checkpoint}/{SOURCES}", "rb") as file:
            sources = msgspec.json.decode(file.read(), type=tuple[Source, ...])
    except (OSError, msgspec.DecodeError):  # the training looks for another one, and says so
        return ""
    return next((source.path for source in sources if _differs(source)), "")


def _differs(source: Source) -> bool:
    """What was only touched, or checked out anew, is the same."""
    try:
        found = os.stat(source.path)
        if (found.st_size, found.st_mtime_ns) == (source.size, source.changed):
            return False
        return found.st_size != source.size or _digest(source.path) != source.sha256
    except OSError:
        return True


def _digest(path: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
