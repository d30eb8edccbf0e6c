"""An existing loop as a pause sees it: what its job holds, the gradients, and where it is."""

from collections.abc import Iterable
from copy import copy
from typing import Any

from gpurun.sdk.baseline import Baseline
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import MAPPINGS, SEQUENCES, Encoder, Node, is_data
from gpurun.sdk.gradients import gradients, put_gradients
from gpurun.sdk.route import Route
from gpurun.sdk.subject import Subject
from gpurun.sdk.tensors import Copied

NO_RESPAWN = (
    "nobody said that its script survives being run again from its first line; "
    "sdk.job(respawn=True) or --pause exit says so"
)


class LoopSubject(Subject):
    """The attributes of a Job but for those that begin with an underscore, and its route."""

    kind = "sdk.job"
    applied_again = True

    def __init__(
        self, attributes: dict[str, Any], given: Iterable[str], route: Route, *, respawn: bool
    ) -> None:
        self.no_respawn = "" if respawn else NO_RESPAWN
        self._attributes = attributes
        self._given = {name: attributes[name] for name in given}
        """What the job was made with: its script may know each by another name."""
        self._route = route
        self._baseline = Baseline({})

    def held(self) -> dict[str, Any]:
        """What the job was given, and what has been set on it since."""
        return {name: value for name, value in self._attributes.items() if name[0] != "_"}

    def obstacle(self) -> str:
        """Note how everything was when the job was made."""
        self._baseline = Baseline(self.held())
        return ""

    def encoder(self, copied: Copied) -> Encoder:
        """With the marks of the start."""
        return Encoder(self._baseline, copied)

    def encoded(self, encoder: Encoder) -> dict[str, Node]:
        """The values, the gradients that are there, and the route."""
        held = self.held()
        return {
            "values": {name: encoder.encode(value, name) for name, value in held.items()},
            "given": [name for name in held if self._is_given(name)],
            "gradients": encoder.encode(gradients(held), "gradients"),
            "route": encoder.encode(self._route.state(), "route"),
        }

    def put_back(self, nodes: dict[str, Node]) -> None:
        """Give each value what it was; the first time, also where the loop was.

        What the job was made with takes it up in place. What was set on it since is made anew: the
        one that is there now may be a view of something that is not the job's, such as its data.
        """
        present = self.held()
        for name in present.keys() - nodes["values"].keys() - self._given.keys():
            del self._attributes[name]
        for name, node in nodes["values"].items():
            kept = name in nodes["given"] and self._is_given(name)
            current = present.get(name)
            self._attributes[name] = decode(node, current if kept else _without_data(current))
        put_gradients(self.held(), decode(nodes["gradients"]))
        self._route.go_to(decode(nodes["route"]))

    def _is_given(self, name: str) -> bool:
        return name in self._given and self._given[name] is self._attributes[name]


def _without_data(value: Any) -> Any:
    """The containers anew, with the objects in them that a checkpoint is loaded into."""
    if is_data(value) or type(value) is set:
        return None
    if type(value) is tuple:
        return tuple(_without_data(item) for item in value)
    if type(value) not in MAPPINGS | SEQUENCES:
        return value
    made = copy(value)
    for key, item in value.items() if type(value) in MAPPINGS else enumerate(value):
        made[key] = _without_data(item)
    return made
