"""What `setup` left: the proof that an object which cannot be saved has not changed since.

An object with a state_dict has to be the same one, with the same parts: a checkpoint is loaded
into what `setup` makes. Functions, classes, modules, data sets and loaders count as fixed. Of
anything else the pickle must be the same.
"""

import hashlib
import pickle
import types
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from gpurun.sdk.encoding import is_data, is_stateful, leaves_of
from gpurun.sdk.rng import is_generator

_FIXED = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    DataLoader,
    Dataset,
    Sampler,
)


class Mark(NamedTuple):
    """What is remembered of one object."""

    refer: Callable[[], object] | None
    """Gives the object itself; None where another one may stand in its place."""
    parts: object
    """Its make-up, or the digest of its pickle; None when it has no pickle."""


class Baseline:
    """Marks of all objects that are not data, by path; answers `unchanged(path, value)`."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self._marks = {
            path: _mark(value) for path, value in leaves_of(attributes) if not is_data(value)
        }

    def __call__(self, path: str, value: object) -> bool:
        """Whether this object is at this place as `setup` left it."""
        mark = self._marks.get(path)
        if mark is None or (mark.refer is not None and mark.refer() is not value):
            return False
        parts = _mark(value).parts
        return parts is not None and parts == mark.parts


def _mark(value: Any) -> Mark:
    if isinstance(value, _FIXED) or is_generator(value) or is_stateful(value):
        return Mark(_reference(value), _make_up(value))
    return Mark(None, _pickle_digest(value))


def _reference(value: Any) -> Callable[[], object]:
    """Refer to it without keeping a replaced model in memory."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value


def _make_up(value: Any) -> object:
    """What has to match for load_state_dict to take up what was saved."""
    if isinstance(value, torch.optim.Optimizer):
        return [len(group["params"]) for group in value.param_groups]
    if isinstance(value, torch.nn.Module):
        return [name for name, _ in value.named_parameters()]
    return "one part"


def _pickle_digest(value: object) -> str | None:
    digest = hashlib.sha256()
    try:
        pickle.Pickler(_Writer(digest.update), protocol=5).dump(value)
    except Exception:  # noqa: BLE001 - each type has its own way of saying that it has no pickle
        return None
    return digest.hexdigest()


class _Writer:
    """A file for the pickler that keeps nothing."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write
