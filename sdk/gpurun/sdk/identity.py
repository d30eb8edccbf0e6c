"""Which training of which program: only the one that wrote a checkpoint may load it.

One job may run several programs, and one program may train several times.
"""

import os
import sys


def identity(kind: str, run: int) -> dict[str, object]:
    """What is the same when the same command is run again; `run` counts its trainings from 0."""
    return {
        "program": _program(),
        "arguments": sys.argv[1:],
        "kind": kind,
        "run": run,
    }


def _program() -> str:
    """The script's real path; the whole command line of a program that has none (-c)."""
    path: str | None = getattr(sys.modules["__main__"], "__file__", None)
    return os.path.realpath(path) if path else " ".join(sys.orig_argv)
