"""What a job is taken to need of each device, and on what grounds."""

from enum import StrEnum

import msgspec


class Basis(StrEnum):
    """Where an estimate comes from."""

    TOLD = "told"
    LEARNED = "learned"
    """From complete runs of the same program."""
    INFERRED = "inferred"
    """From runs of the changed program, with other arguments, or not complete."""
    UNKNOWN = "unknown"


class Guess(msgspec.Struct, frozen=True):
    """One figure, in bytes, seconds or as a share of time, and how well it is known."""

    low: float
    """What the runs show, without a margin."""
    high: float
    """What is reserved: the upper end of the interval."""
    basis: Basis
    runs: int
    """How many stand behind it."""
    grounds: str
    """The same in words, to follow "from"."""

    @property
    def confidence(self) -> float:
        """The least chance that the next run stays below `high`.

        Of n + 1 exchangeable runs the last is the largest with a chance of 1 in n + 1; the margin
        is not counted. Runs of other arguments or contents are half as good a witness.
        """
        chance = self.runs / (self.runs + 1)
        return chance if self.basis is Basis.LEARNED else chance / 2


class Need(msgspec.Struct, frozen=True):
    """Memory, utilization and run time, each known or not for itself; told ones are not in here."""

    memory: Guess | None = None
    utilization: Guess | None = None
    time: Guess | None = None
    """Seconds, without pauses."""
