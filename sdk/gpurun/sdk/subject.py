"""A training as a pause sees it: what it holds, what is saved of it, and how that is put back."""

from abc import ABC, abstractmethod
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpurun.sdk.encoding import Encoder, Node
    from gpurun.sdk.tensors import Copied

FILE = "state.pt"


class Subject(ABC):
    """Whatever is paused; each way of writing a training has its own."""

    kind: str
    """What tells it from the other trainings of its script."""
    saves_itself = False
    """Whether its script writes files of its own, which it reads from the device."""
    keeps_gradients = True
    """Whether its gradients count between two safe points; else they come back as zeros."""
    applied_again = False
    """Whether its state is applied again, with the random states, at the turn of the pause."""
    last: Any = None
    """What its last step has returned."""
    no_respawn = ""
    """Why its script is not to be run again from its first line; empty where it survives that."""

    @abstractmethod
    def held(self) -> dict[str, Any]:
        """All that it holds, by the names that its script has for it."""

    @abstractmethod
    def encoder(self, copied: "Copied") -> "Encoder":
        """What encodes it; `copied` brings tensors to host memory."""

    @abstractmethod
    def encoded(self, encoder: "Encoder") -> dict[str, "Node"]:
        """Its state as nodes; raise UnsavedError where something would be lost."""

    @abstractmethod
    def put_back(self, nodes: dict[str, "Node"]) -> None:
        """Give everything its saved value, in place where it can be."""

    def obstacle(self) -> str:
        """What stands in the way of a checkpoint; empty where nothing is known to."""
        return ""

    def unsupported(self) -> str:
        """What it holds that can be neither parked nor saved by default; empty for nothing."""
        from gpurun.sdk.unsupported import unsupported

        return unsupported(self.held())

    def save(self, folder: str) -> object:
        """Write it into the folder; what is returned is saved beside it, for `load`."""
        from gpurun.sdk.checkpoint import require_room
        from gpurun.sdk.nodes import write_nodes
        from gpurun.sdk.tensors import on_host

        encoder = self.encoder(on_host)
        nodes = self.encoded(encoder)
        require_room(folder, encoder.size)
        write_nodes(nodes, f"{folder}/{FILE}")
        return None

    def load(self, folder: str, returned: object) -> None:
        """Put back what `save` has written and returned."""
        from gpurun.sdk.nodes import read_nodes

        del returned
        self.put_back(read_nodes(f"{folder}/{FILE}"))
