"""The files of the user's own program, as they were when it was started.

A program that is ended for a pause is run again from its first line: by then its files may say
something else. So each checkpoint names those that made it. What lies below the script's folder or
the current one counts, but nothing that was installed.
"""

import contextlib
import hashlib
import os
import sys

from gpurun.protocol.checkpoint import Source

_INSTALLED = ("/site-packages/", "/dist-packages/")
_LIBRARY = os.path.dirname(os.path.realpath(os.__file__)) + "/"
_known: dict[str, Source] = {}


def note() -> tuple[Source, ...]:
    """Look at the modules that were imported since the last call; give all that are known.

    One that changes between its import and this look is taken for what it has become.
    """
    folders = _folders()
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get("__file__")  # without any __getattr__
        if not isinstance(path, str):
            continue
        path = path if path.startswith("/") else os.path.abspath(path)
        if path not in _known and _is_own(path, folders) and not _is_gpurun(module.__name__):
            _look_at(path)
    return tuple(_known[path] for path in sorted(_known))


def _folders() -> tuple[str, ...]:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    found = {os.path.dirname(os.path.abspath(script))} if script else set()
    with contextlib.suppress(FileNotFoundError):  # it was removed
        found.add(os.getcwd())
    return tuple(folder.rstrip("/") + "/" for folder in found)


def _is_own(path: str, folders: tuple[str, ...]) -> bool:
    if not path.startswith(folders) or path.startswith(_LIBRARY):
        return False
    return not any(part in path for part in _INSTALLED)


def _is_gpurun(name: str) -> bool:
    return name.partition(".")[0] == "gpurun"


def _look_at(path: str) -> None:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # in an archive, or gone: nobody can tell
        return
    _known[path] = Source(path, found.st_size, found.st_mtime_ns, digest)
