"""The way of an existing loop through its iterations, and back to where it was."""

from typing import Any

from gpurun.sdk.place import Path, Place


class Route:
    """Counts, and which iteration is the present one.

    A turn belongs to the iteration that asks for its next item first: what else is open then, such
    as a second loader beside the first, is in the middle of a step and makes no turns.
    """

    def __init__(self) -> None:
        self.step = 0
        """Turns that were begun."""
        self.between = 0
        """Safe points of this attempt that began no turn: those between two epochs."""
        self.epoch: int | None = None
        """What the present epoch is called."""
        self.batch = 0
        """The number of the last batch in its epoch, from 1."""
        self.scope = Place()
        """Whose present item all that is opened now is in."""
        self.leader: Place | None = None
        """Whose turns count."""
        self.returning: Path | None = None
        """The path of the turn at which the state is still to be applied again."""
        self._root = self.scope
        self._at: Path = ()
        """The path of the last safe point at which there was something to do."""
        self._set_out = False
        """Whether it has been told where to go to."""

    def open(self, line: str) -> Place:
        """The place of an iteration that begins; `line` is where the script opens it."""
        if self.leader is None:
            return self.scope.open_next(self.step)
        return self.scope.open_at(line, self.step)

    @property
    def safe_points(self) -> int:
        """The number of the present one, which is the same in every rank."""
        return self.step + self.between

    def turns_at(self, place: Place) -> bool:
        """Whether the next item of this iteration is a turn."""
        if self.leader is None:
            self.leader = place
        return self.leader is place

    def arrive(self, path: Path) -> bool:
        """It is at this turn; whether that is the one to which it was to return."""
        self._at = path
        if self.returning != path:
            return False
        self.returning = None
        return True

    def end(self, place: Place) -> None:
        """The iteration is over, or was broken out of."""
        place.over, place.data = True, None
        if self.leader is place:
            self.leader = None

    def state(self) -> dict[str, Any]:
        """Plain values and random states."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "at": self._at,
            "root": self._root.state(),
        }

    def go_to(self, state: dict[str, Any]) -> None:
        """Count as it was; and the first time, before anything is opened, go back there."""
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        if not self._set_out:
            self._set_out, self.returning = True, state["at"]
            self.scope = self._root = Place(state["root"])
