"""An existing loop as a pause sees it: what its job holds, the gradients, and where it is."""

from typing import Any

from gpurun.sdk.baseline import Baseline
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder, Node
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

    def __init__(self, attributes: dict[str, Any], route: Route, *, respawn: bool) -> None:
        self.no_respawn = "" if respawn else NO_RESPAWN
        self._attributes = attributes
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
            "gradients": encoder.encode(gradients(held), "gradients"),
            "route": encoder.encode(self._route.state(), "route"),
        }

    def put_back(self, nodes: dict[str, Node]) -> None:
        """Give each value what it was; the first time, also where the loop was."""
        present = self.held()
        for name, node in nodes["values"].items():
            self._attributes[name] = decode(node, present.get(name))
        put_gradients(self.held(), decode(nodes["gradients"]))
        self._route.go_to(decode(nodes["route"]))
