"""Sizes, shares, durations, priorities, signals and names as types of click options."""

from collections.abc import Callable
from importlib import import_module

import click


def _reader(name: str, module: str = "gpurun.protocol.quantity") -> Callable[[object], object]:
    """A type that reads what `name` in the module reads, which is imported when it is used.

    What cannot be read is a usage error; what is no text is a default.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return getattr(import_module(module), name)(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return read


SIZE = _reader("parse_size")
MEMORY = _reader("parse_memory")
PERCENT = _reader("parse_percent")
DURATION = _reader("parse_duration")
PRIORITY = _reader("parse_priority")
GPUS = _reader("parse_gpus")
SIGNAL = _reader("read_signal", "gpurun.launcher.pause_signal")
EXIT_CODE = _reader("read_exit_code", "gpurun.launcher.pause_signal")


def NAME(value: object) -> object:  # noqa: N802 - a type, as the others are
    """A job's name: one that can be told from a job's number, and shown."""
    if isinstance(value, str) and not value.strip():
        raise click.BadParameter("a name must not be empty; leave --name out for the command's")
    if isinstance(value, str) and value.strip().isdigit():
        raise click.BadParameter(f"{value!r} would be taken for a job's number; add a letter")
    if isinstance(value, str) and any(map(_is_control, value)):
        raise click.BadParameter(f"{value!r} holds a control character; leave it out")
    return value


def _is_control(letter: str) -> bool:
    """Whether it is one of C0, DEL and C1."""
    return letter < " " or "\x7f" <= letter <= "\x9f"
