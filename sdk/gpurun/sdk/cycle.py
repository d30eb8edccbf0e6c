"""When a training has been through all that it does: each of its data through a whole epoch.

What follows an epoch, its validation and its saves, is behind when the next one begins.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

_epochs: WeakKeyDictionary[object, int] = WeakKeyDictionary()
"""Epochs that each endless iterator has begun in this process."""
_hearers: list[Callable[[], None]] = []
"""Who has not heard yet that a cycle is behind."""


@contextmanager
def heard_by(hearer: Callable[[], None]) -> Iterator[None]:
    """Call `hearer` once, at the end of the first cycle from now on."""
    _epochs.clear()
    _hearers.append(hearer)
    try:
        yield
    finally:
        _hearers.clear()


def begin_epoch(data: object) -> None:
    """An endless iterator begins an epoch; with the second of all of them a cycle is behind."""
    _epochs[data] = _epochs.get(data, 0) + 1
    if _hearers and min(_epochs.values()) > 1:
        _hearers.pop()()
