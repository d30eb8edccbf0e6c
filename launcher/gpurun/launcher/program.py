"""The program that a command line names, found as a shell finds it, before it is submitted."""

import os
from collections.abc import Mapping, Sequence

import msgspec

from gpurun.launcher.failure import NOT_EXECUTABLE, NOT_FOUND, Failure


class Program(msgspec.Struct, frozen=True):
    """A file to execute and its arguments, the first of which is its own name."""

    path: str
    arguments: tuple[str, ...]


def find_program(words: Sequence[str], environment: Mapping[str, str]) -> Program:
    """The program of a command line; a `.py` file runs with the caller's own python.

    Raise Failure with 126 when it was found and cannot be executed, with 127 when it was not.
    """
    first = words[0]
    if first.endswith(".py"):
        _check_script(first)
        path = find_python(environment)
        return Program(path, (os.path.basename(path), *words))
    path = first if "/" in first else _search(first, environment)
    return Program(_check_executable(path), tuple(words))


def _check_script(script: str) -> None:
    if not os.path.exists(script):
        raise Failure(f"there is no script {script}; check its path", NOT_FOUND)
    if not os.path.isfile(script) or not os.access(script, os.R_OK):
        raise Failure(f"{script} cannot be read as a script; check what it is", NOT_EXECUTABLE)


def find_python(environment: Mapping[str, str]) -> str:
    """The path of the caller's own python; raise Failure where there is none."""
    for name in ("python", "python3"):
        for path in _candidates(name, environment):
            if _is_executable(path):
                return path
    raise Failure("there is no python on your PATH; activate an environment", NOT_FOUND)


def _search(name: str, environment: Mapping[str, str]) -> str:
    found = [path for path in _candidates(name, environment) if os.path.isfile(path)]
    for path in found:
        if _is_executable(path):
            return path
    return found[0] if found else name


def _candidates(name: str, environment: Mapping[str, str]) -> list[str]:
    folders = environment.get("PATH", os.defpath).split(":")
    return [os.path.join(folder or ".", name) for folder in folders]


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _check_executable(path: str) -> str:
    if not os.path.exists(path) or ("/" not in path):
        raise Failure(f"there is no command {path}; check the name and your PATH", NOT_FOUND)
    if not _is_executable(path):
        raise Failure(
            f"{path} is not executable; chmod +x it or name its interpreter", NOT_EXECUTABLE
        )
    return path
