"""The configuration file: TOML in, settings out, and errors that say what would have been right."""

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gpurun.coordinator.core.settings import Settings
from gpurun.protocol.quantity import parse_duration, parse_size

_SHORTEST_INTERVAL = 0.1


class ConfigError(Exception):
    """The file cannot be used; the text is one line with the file, the key and what is right."""


def load(path: str, *, named: bool = False) -> Settings:
    """Read the file; what it does not say has its default, and so has all without a file.

    One that somebody named (GPURUN_CONFIG) must be there.
    """
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{path} is not there; write it, or unset GPURUN_CONFIG") from None
        return Settings()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); see who may read it"
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{path} is not TOML: {error}; correct it, or remove it") from None
    try:
        return _settings(tables)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _settings(tables: Mapping[str, object]) -> Settings:
    defaults = Settings()
    changes: dict[str, Any] = {}
    for name, table in tables.items():
        if name not in _KEYS:
            raise ValueError(f"[{name}] is not known; {_nearest(name, _KEYS)}")
        if not isinstance(table, Mapping):
            raise ValueError(  # noqa: TRY004 - a value of the file
                f"{name} = {_shown(table)} is not a table; begin it with [{name}]"
            )
        values = {key: _value(name, key, value) for key, value in table.items()}
        changes[name] = msgspec.structs.replace(getattr(defaults, name), **values)
    return msgspec.structs.replace(defaults, **changes)


def _value(table: str, key: str, value: object) -> object:
    known = _KEYS[table]
    if key not in known:
        raise ValueError(f"[{table}] {key} is not known; {_nearest(key, known)}")
    try:
        return known[key](value)
    except ValueError as error:
        raise ValueError(f"[{table}] {key} = {_shown(value)}: {error}") from None


def _nearest(word: str, known: Iterable[str]) -> str:
    import difflib  # only errors need it

    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _share(value: object) -> float:
    if (number := _number(value)) is None or not 0 < number <= 1:
        raise ValueError("must be a share over 0 and up to 1, like 0.9")
    return number


def _portion(value: object) -> float:
    if (number := _number(value)) is None or not 0 <= number <= 1:
        raise ValueError("must be a share from 0 to 1, like 0.1")
    return number


def _size(value: object) -> int:
    if isinstance(value, str):
        return parse_size(value)
    if (number := _number(value)) is None or number < 0 or number % 1:
        raise ValueError("must be a size like '512MiB', or a number of bytes")
    return int(number)


def _duration(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if (number := _number(value)) is None or number < 0:
        raise ValueError("must be a duration like '60s' or '10min', or a number of seconds")
    return number


def _count(value: object) -> int:
    if (number := _number(value)) is None or number < 1 or number % 1:
        raise ValueError("must be a whole number of at least 1")
    return int(number)


def _interval(value: object) -> float:
    if (seconds := _duration(value)) < _SHORTEST_INTERVAL:
        raise ValueError(f"must be at least {_SHORTEST_INTERVAL} s, like '1s'")
    return seconds


def _ageing(value: object) -> float:
    if (seconds := _duration(value)) <= 0:
        raise ValueError("must be more than nothing, like '5min'")
    return seconds


def _settle(value: object) -> float | None:
    return None if value == "never" else _duration(value)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - a value of the file
    return value


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


_KEYS: dict[str, dict[str, Callable[[object], object]]] = {
    "limits": {"memory": _share, "utilization": _share, "headroom": _size, "enforce": _switch},
    "pause": {
        "enabled": _switch,
        "deadline": _duration,
        "min_run": _duration,
        "max_paused": _duration,
        "budget": _portion,
    },
    "queue": {"ageing": _ageing, "drain_after": _duration, "max_jobs_per_user": _count},
    "monitor": {"interval": _interval, "window": _duration},
    "estimate": {"unknown": _share, "settle": _settle},
}
"""The tables and keys of contract and settings, and what reads each."""
