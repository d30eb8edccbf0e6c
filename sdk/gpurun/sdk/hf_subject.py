"""A Hugging Face Trainer as a pause sees it.

Saved are those attributes of it, its state, its control and its callbacks that hold plain values,
tensors, generators, or objects with a state_dict: model, optimizer and scheduler, but also what a
subclass has added. Other objects are as the script makes them again.
"""

from typing import Any

from torch.utils.data import DataLoader
from transformers.trainer_callback import ExportableState

from gpurun.sdk import rng
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder, Node, is_data, is_stateful, leaves
from gpurun.sdk.errors import CheckpointError
from gpurun.sdk.hf_turns import Back, Turns
from gpurun.sdk.subject import Subject
from gpurun.sdk.tensors import Copied

_DATASETS = frozenset({"train_dataset", "eval_dataset"})
"""Attributes of a trainer that may be plain values and yet are no state."""


class TrainerSubject(Subject):
    """A Trainer in its train(); `trial` is that of a hyperparameter search."""

    applied_again = True

    def __init__(self, trainer: Any, turns: Turns, trial: object) -> None:
        kind = type(trainer)
        self.kind = f"{kind.__module__}.{kind.__qualname__}"
        self._trainer = trainer
        self._turns = turns
        self._trial = trial

    def obstacle(self) -> str:
        """A search goes on with other trials when it is run again."""
        if not hasattr(self._trainer, "_init_training_state"):
            return "only transformers 5.3 and later can be led back to a step"
        return "" if self._trial is None else "the place in a hyperparameter search is not saved"

    def held(self) -> dict[str, Any]:
        """What is saved, by name."""
        return {
            f"{owner}.{name}": value
            for owner, values in self._values().items()
            for name, value in values.items()
        }

    def encoder(self, copied: Copied) -> Encoder:
        """Of what is saved, nothing has to be as it was at the start."""
        return Encoder(lambda _path, _value: True, copied)

    def encoded(self, encoder: Encoder) -> dict[str, Node]:
        """The values of all owners, and the place in the data."""
        if self._turns.loader is None:
            raise CheckpointError("the training has not come to its first step")
        values = {
            owner: {name: encoder.encode(v, f"{owner}.{name}") for name, v in values.items()}
            for owner, values in self._values().items()
        }
        return {"values": values, "place": encoder.encode(self._turns.loader.place(), "its data")}

    def put_back(self, nodes: dict[str, Node]) -> None:
        """Give everything its saved value at the turn; before, there is no optimizer to take it."""
        place = decode(nodes["place"])
        if self._turns.loader is None:
            self._turns.back = Back(place, _plain(nodes["values"]["state"]))
            return
        self._turns.loader.data.load_state_dict(place["data"])
        for owner, it in self._owners().items():
            for name, node in nodes["values"].get(owner, {}).items():
                setattr(it, name, decode(node, getattr(it, name, None)))

    def _values(self) -> dict[str, dict[str, Any]]:
        # DDP around the model has the order of its sums; without DDP it is another name for it
        alone = self._trainer.model_wrapped is self._trainer.model
        left_out = _DATASETS | {"model_wrapped"} if alone else _DATASETS
        return {
            owner: {n: v for n, v in vars(it).items() if n not in left_out and _is_state(v)}
            for owner, it in self._owners().items()
        }

    def _owners(self) -> dict[str, Any]:
        trainer = self._trainer
        owners = {"trainer": trainer, "state": trainer.state, "control": trainer.control}
        for callback in filter(_has_state, trainer.callback_handler.callbacks):
            name = type(callback).__qualname__
            number = sum(owner.startswith(f"{name}#") for owner in owners)
            owners[f"{name}#{number}"] = callback
        scaler = getattr(trainer.accelerator, "scaler", None)
        if scaler is not None:
            owners["accelerator"] = _OfAccelerator(scaler)
        return owners


class _OfAccelerator:
    """What the accelerator has of its own."""

    def __init__(self, scaler: Any) -> None:
        self.scaler = scaler


def _has_state(callback: object) -> bool:
    """Whether it is a user's, or one of the library's that says that it has."""
    library = type(callback).__module__.partition(".")[0] in ("transformers", "gpurun")
    return isinstance(callback, ExportableState) or not library


def _is_state(value: object) -> bool:
    return all(
        is_data(leaf)
        or rng.is_generator(leaf)
        or (is_stateful(leaf) and not isinstance(leaf, DataLoader))
        for _, leaf in leaves(value, "")
    )


def _plain(nodes: dict[str, Node]) -> dict[str, Any]:
    return {n: node for n, node in nodes.items() if not isinstance(node, (dict, list, tuple))}
