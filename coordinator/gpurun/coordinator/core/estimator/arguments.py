"""Arguments as numbers with names, and the words around them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite

import msgspec

_NUMBER = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([kmgt]?)(i?b?|%)", re.IGNORECASE | re.ASCII
)
_UNITS = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40}


class Arguments(msgspec.Struct, frozen=True):
    """`--batch 64 lr=0.1 big` is {--batch: 64, lr: 0.1} and the words (--batch, lr, big)."""

    words: tuple[str, ...]
    """All that is no number, in an order that does not tell `-a 1 -b 2` from `-b 2 -a 1`."""
    numbers: Mapping[str, float]


@lru_cache(maxsize=4096)
def read(arguments: tuple[str, ...]) -> Arguments:
    """Read a command line; a number belongs to the `key=` before it, the option, or its place."""
    words: list[str] = []
    numbers: dict[str, float] = {}
    option = ""
    for argument in arguments:
        key, equals, text = argument.rpartition("=")
        value = _number(text)
        if value is None:
            words.append(argument)
        else:
            name = key if equals else option or f"argument {len(numbers) + 1}"
            if equals or not option:
                words.append(name)
            numbers[_free(name, numbers)] = value
        option = argument if value is None and argument.startswith("-") and not equals else ""
    return Arguments(tuple(sorted(words)), numbers)


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    value = float(match[1]) * _UNITS[match[2].lower()]
    return value if isfinite(value) else None


def _free(name: str, taken: Mapping[str, float]) -> str:
    """The name, or where it comes twice the name of that occurrence."""
    count = sum(1 for other in taken if other == name or other.startswith(f"{name} #"))
    return f"{name} #{count + 1}" if count else name
