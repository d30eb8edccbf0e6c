"""In which ways a training can be paused, and what stands in the way of the others."""

from typing import NamedTuple

from gpurun.sdk.bare import Bare
from gpurun.sdk.say import say
from gpurun.sdk.subject import Subject


class Ways(NamedTuple):
    """How a training can be paused."""

    pausable: tuple[str, ...]
    unsaved: str
    """Why no checkpoint of it could be gone on from; empty where one could."""


def ways_to_pause(subject: Subject) -> Ways:
    """What it offers; says so where that is not all."""
    if isinstance(subject, Bare):
        why = subject.obstacle()
        return _said(("stand",), why, why)
    try:
        obstacle, unsupported = subject.obstacle(), subject.unsupported()
    except Exception as error:  # noqa: BLE001 - a training that cannot be paused is to train
        why = f"its attributes cannot be read ({type(error).__name__}: {error})"
        return _said(("stand",), why, why)
    unsaved = obstacle or ("" if subject.saves_itself else unsupported)
    offers = {"stand": True, "park": not unsupported, "exit": not unsaved}
    ways = tuple(way for way, offered in offers.items() if offered)
    return _said(ways, unsaved, unsupported or unsaved)


def _said(pausable: tuple[str, ...], unsaved: str, why: str) -> Ways:
    if why:
        say_ways(pausable, why)
    return Ways(pausable, unsaved)


def say_ways(pausable: tuple[str, ...], why: str) -> None:
    """Say what it cannot do, and why."""
    lacking = [way for way in ("park", "exit") if way not in pausable]
    if len(lacking) == 1:
        say(f"this training can {' or '.join(pausable)}, but not {lacking[0]}: {why}")
    else:
        say(f"this training can stand still, but neither park nor exit: {why}")
