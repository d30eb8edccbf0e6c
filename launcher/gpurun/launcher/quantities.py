"""Sizes, shares, durations and priorities as types of click options."""

from collections.abc import Callable

import click


def _reader(name: str) -> Callable[[object], object]:
    """A type that reads what `name` in gpurun.protocol.quantity reads, imported when it is used.

    What cannot be read is a usage error; what is no text is a default.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        from gpurun.protocol import quantity

        try:
            return getattr(quantity, name)(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return read


SIZE = _reader("parse_size")
MEMORY = _reader("parse_memory")
PERCENT = _reader("parse_percent")
DURATION = _reader("parse_duration")
PRIORITY = _reader("parse_priority")
