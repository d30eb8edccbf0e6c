"""By what the coordinator recognises a program that has run before."""

import os
from collections.abc import Sequence

from gpurun.launcher.program import Program
from gpurun.protocol.job import ProgramId

MOST = 1 << 22
"""Bytes of a script that are looked at: nobody edits by hand what is longer."""
LONGEST = 65536
"""Characters of arguments with which a program is still recognised."""


def identify(words: Sequence[str], program: Program, folder: str) -> ProgramId | None:
    """The script, what runs it, and its arguments; of a command with no script, the executable.

    None for a command line too long to compare, or one that is not text.
    """
    script = next((n for n, word in enumerate(words) if word.endswith(".py")), None)
    path = os.path.realpath(program.path if script is None else words[script])
    # The path as it was found: behind the links of two environments may lie one interpreter.
    interpreter = os.path.abspath(program.path)
    if sum(map(len, words)) > LONGEST or not _is_text((path, interpreter, *words)):
        return None
    if script is None:
        return ProgramId(path=path, arguments=tuple(words[1:]), folder=folder)
    arguments = (*words[1:script], *words[script + 1 :])
    return ProgramId(path=path, arguments=arguments, interpreter=interpreter, digest=_digest(path))


def _digest(path: str) -> str:
    """Length and CRC-32 of the content; empty where it cannot be read.

    An edit that this misses, one in four thousand million, leaves an interval too narrow; a hash
    of hashlib would cost every start the load of OpenSSL.
    """
    from zlib import crc32

    try:
        with open(path, "rb") as file:
            content = file.read(MOST)
    except OSError:
        return ""
    return f"{len(content):x}-{crc32(content):08x}"


def _is_text(words: Sequence[str]) -> bool:
    """Whether it can be said: arguments and folders are bytes to the system."""
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        return False
    return True
