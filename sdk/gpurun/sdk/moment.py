"""Where a training is when it is saved."""

from collections.abc import Callable
from typing import NamedTuple

Part = Callable[[str], None]
"""Writes what one rank has to save into the folder of a checkpoint."""


class Moment(NamedTuple):
    """Where in its script a training is, and which rank of it this is."""

    step: int
    run: int = 0
    """Which training of its script it is, from 0."""
    rank: int = 0
    world: int = 1
    """How many ranks it has."""
