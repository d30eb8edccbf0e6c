"""Sizes, shares, durations and priorities: how people write them and how gpurun shows them.

Sizes are bytes, shares are 0..1, durations are seconds. A text that cannot be read raises
`ValueError` with one line that shows the forms that can.
"""

import re

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
LONGEST = 1e9
"""Seconds: 30 years; a duration is shorter."""
MOST_GPUS = 1024
"""More than any machine has."""

_SIZE_UNITS = {"b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_DURATION_UNITS = {
    "": 1.0,
    "ms": 0.001,
    "s": 1.0,
    "min": 60.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_PRIORITIES = {"low": -50, "normal": 0, "high": 50}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z%]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes of `6GiB`, `6G`, `6144MiB`; G is read as GiB, as nvidia-smi's users expect.

    A number alone is refused: nobody who writes `--mem 6` means bytes.
    """
    number, unit = _split(text, "a size like 6GiB, 6G or 6144MiB")
    letter = unit.removesuffix("ib").removesuffix("b") if len(unit) > 1 else unit
    if letter not in _SIZE_UNITS or (unit == "ib"):
        raise ValueError(f"{text!r} is not a size like 6GiB, 6G or 6144MiB")
    size = number * _SIZE_UNITS[letter]
    if not 1 <= size < 1 << 60:
        raise ValueError(f"{text!r} is not a size that a device can have; try 6GiB")
    return round(size)


def parse_memory(text: str) -> tuple[int | None, float | None]:
    """(bytes, None) of a size, or (None, share) of a percentage of each device."""
    return (None, parse_percent(text)) if text.strip().endswith("%") else (parse_size(text), None)


def parse_percent(text: str) -> float:
    """The share 0..1 of `40` or `40%`."""
    number, unit = _split(text, "a percentage like 40 or 40%")
    if unit not in ("", "%") or not 0 < number <= 100:
        raise ValueError(f"{text!r} is not a percentage from 1 to 100, like 40 or 40%")
    return number / 100


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10min`, `1.5h`, `2d`."""
    number, unit = _split(text, "a duration like 90s, 10min or 1.5h")
    if unit not in _DURATION_UNITS:
        raise ValueError(f"{text!r} is not a duration like 90s, 10min or 1.5h")
    seconds = number * _DURATION_UNITS[unit]
    if seconds >= LONGEST:
        raise ValueError(f"{text!r} is longer than anything lasts; try 10min or 1.5h")
    return seconds


def parse_priority(text: str) -> int:
    """-100..100 of `low`, `normal`, `high` or a number."""
    if (named := _PRIORITIES.get(text.strip().lower())) is not None:
        return named
    try:
        priority = int(text)
    except ValueError:
        priority = 101
    if not -100 <= priority <= 100:
        raise ValueError(f"{text!r} is not low, normal, high or a number from -100 to 100")
    return priority


def parse_gpus(text: str) -> int:
    """A number of devices; 0 is a job that needs none."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= MOST_GPUS:
        raise ValueError(f"{text!r} is not a number of devices from 0 to {MOST_GPUS}")
    return number


def format_size(size: int) -> str:
    """Show bytes in the largest unit of which there is at least one: `6.0 GiB`, `512 MiB`."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / MIB:.0f} MiB" if size >= MIB else f"{size} B"


def format_share(share: float) -> str:
    """Show a share 0..1 as `40 %`."""
    return f"{share * 100:.0f} %"


def format_duration(seconds: float) -> str:
    """Show seconds as a clock does: `0:07`, `12:40`, `3:05:00`; days as `2d 3:05:00`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def _split(text: str, form: str) -> tuple[float, str]:
    match = _NUMBER.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not {form}")
    return float(match[1]), match[2]
