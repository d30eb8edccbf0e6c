"""What the rehearsal of a pause has shown, and the sentence that says it."""

import msgspec

from gpurun.coordinator.core.events import Peer
from gpurun.coordinator.core.job import Way
from gpurun.protocol.quantity import format_size


class Rehearsal(msgspec.Struct, frozen=True):
    """One pause that is only tried. Instants are CLOCK_BOOTTIME, None before they have come."""

    peer: Peer
    """Who waits for the outcome."""
    how: Way
    request: int
    asked: float
    captured: float = 0.0
    """The safe point."""
    freed: float | None = None
    """Seconds from the safe point until the device was seen free, or its time was."""
    kept: int = 0
    """Bytes that one that parked kept of its device."""
    saved: str = ""
    """What was saved and where, or why it was not; empty while that is not known."""
    step: int = 0
    returning: float | None = None
    """Seconds from the grant until it trained again."""

    @property
    def complete(self) -> bool:
        """Whether nothing more is to come: one that parked may be back before its checkpoint is."""
        return self.returning is not None and (self.how is Way.STAND or bool(self.saved))


def report(label: str, tried: Rehearsal) -> str:
    """All of it in one line."""
    safe_point = f"{tried.captured - tried.asked:.2f} s after it was asked, at step {tried.step}"
    back = f"trained again {tried.returning or 0.0:.2f} s after the word to go on"
    freed = f"{tried.freed or 0.0:.2f} s later"
    match tried.how:
        case Way.STAND:
            return f"{label} can stand: it stood {safe_point}, and {back}"
        case Way.PARK:
            but = f" but for {format_size(tried.kept)}" if tried.kept else ""
            free = f"its memory on the device was free {freed}{but}"
            return f"{label} can park: safe point {safe_point}; {free}; {tried.saved}; {back}"
        case Way.EXIT:
            free = f"its device was free {freed}"
            return f"{label} can exit: safe point {safe_point}; {tried.saved}; {free}; {back}"
