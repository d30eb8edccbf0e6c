"""What one finished run leaves behind."""

import msgspec

from gpurun.coordinator.core.estimator.seen import Seen
from gpurun.protocol.job import ProgramId

Family = tuple[int, str, str]
"""A user's program, whatever its arguments and its content: uid, path and folder.

Nobody learns from another user's runs, and nobody can mislead another's.
"""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One run; figures are for the device on which they were largest."""

    job: int
    uid: int
    program: ProgramId
    gpus: int
    seen: Seen
    ran: float
    """Seconds, without its pauses."""
    complete: bool
    """Whether it did all that it does: ended with 0."""
    settled: bool = False
    """Whether it had long been at its plateau when this was written."""
    oom: bool = False
    """Whether it ran out of memory."""
    reserved: int = 0
    """Bytes that it was admitted with."""
    needed: int = 0
    """Bytes that it would have held with what it was refused, where it said so."""

    @property
    def family(self) -> Family:
        """Whose program it is."""
        return family_of(self.uid, self.program)

    @property
    def peak(self) -> int:
        """The most bytes it was seen to hold; 0 where they were not seen."""
        return 0 if self.seen.assumed else self.seen.memory or 0


def family_of(uid: int, program: ProgramId) -> Family:
    """The user's program, whatever its arguments and its content."""
    return uid, program.path, program.folder
