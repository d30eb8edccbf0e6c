"""A trainable's attributes in one file, and back into a trainable that `setup` has made."""

from typing import Any

from gpurun.sdk.baseline import Baseline
from gpurun.sdk.data import Batches
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder, Node, leaves_of
from gpurun.sdk.gradients import named, put_zeros
from gpurun.sdk.subject import Subject
from gpurun.sdk.tensors import Copied
from gpurun.sdk.trainable import Trainable

_BASELINE = "_gpurun_baseline"


def attributes(trainable: Trainable) -> dict[str, Any]:
    """What is saved by default, by name."""
    left_out = {_BASELINE, *trainable.not_saved}
    return {name: value for name, value in vars(trainable).items() if name not in left_out}


def remember(trainable: Trainable) -> None:
    """Note how `setup` left it; without that, no object of an unknown kind can be saved."""
    vars(trainable)[_BASELINE] = Baseline(attributes(trainable))


class Attributes(Subject):
    """A Trainable, by its attributes, and which of its parameters have a gradient.

    A step ends with its own gradients, so that their values do not count. That they are there does:
    an optimizer passes over a parameter that has none, and not over one that has zeros.
    """

    keeps_gradients = False

    def __init__(self, trainable: Trainable) -> None:
        self._trainable = trainable
        kind = type(trainable)
        self.kind = f"{kind.__module__}.{kind.__qualname__}"
        self.saves_itself = kind.save_checkpoint is not Trainable.save_checkpoint

    def held(self) -> dict[str, Any]:
        """Its attributes."""
        return attributes(self._trainable)

    def obstacle(self) -> str:
        """Note how setup left it, and look for data without a way back to its place."""
        remember(self._trainable)
        for path, value in leaves_of(self.held()):
            if isinstance(value, Batches) and not value.pausable:
                return f"the data of {path} cannot return to its place"
        return ""

    def encoder(self, copied: Copied) -> Encoder:
        """With the marks that setup has left."""
        return Encoder(vars(self._trainable).get(_BASELINE) or Baseline({}), copied)

    def encoded(self, encoder: Encoder) -> dict[str, Node]:
        """A node for each attribute, and the names of the gradients."""
        held = self.held()
        return {
            "attributes": {name: encoder.encode(value, name) for name, value in held.items()},
            "gradients": encoder.encode(named(held), "gradients"),
        }

    def put_back(self, nodes: dict[str, Node]) -> None:
        """Give each attribute its saved value; what was not there is taken away."""
        present, saved = self.held(), nodes["attributes"]
        for name in present.keys() - saved.keys():
            delattr(self._trainable, name)
        for name, node in saved.items():
            setattr(self._trainable, name, decode(node, present.get(name)))
        put_zeros(self.held(), decode(nodes["gradients"]))

    def save(self, folder: str) -> object:
        """As its script wants it, which may call `save_attributes`."""
        return self._trainable.save_checkpoint(folder)

    def load(self, folder: str, returned: object) -> None:
        """As its script wants it."""
        self._trainable.load_checkpoint(folder if returned is None else returned)

    def save_attributes(self, folder: str) -> None:
        """Write the attributes into the folder; raise UnsavedError where one would be lost."""
        super().save(folder)

    def load_attributes(self, folder: str) -> None:
        """Give each attribute its saved value."""
        super().load(folder, None)
