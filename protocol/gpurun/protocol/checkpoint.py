"""How checkpoints lie in a job's folder: the SDK writes them, the launcher looks at them.

000007-step-120/       numbered in the order of writing
sources.json       the files of the program that wrote it
manifest.json      format, step, and each other file's size and SHA-256
"""

import msgspec

MANIFEST = "manifest.json"
SOURCES = "sources.json"


class Source(msgspec.Struct, frozen=True):
    """A file of the program as it was when the program was started."""

    path: str
    size: int
    changed: int
    """Nanoseconds since the epoch of the last change."""
    sha256: str


def number(name: str) -> int:
    """The place of a checkpoint among those of its job; 0 for what is no checkpoint."""
    head, middle, step = name.partition("-step-")
    return int(head) if middle and head.isdecimal() and step.isdecimal() else 0
