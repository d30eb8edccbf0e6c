"""Values to nodes that `torch.load(weights_only=True)` reads; decoding.py goes back.

A node is a plain value, a list, tuple or dict of nodes, or a dict in which TAG names a kind.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import torch

from gpurun.sdk import modules, rng, tensors
from gpurun.sdk.errors import UnsavedError

Node = Any
TAG = "__gpurun__"
PLAIN: frozenset[type] = frozenset(
    (type(None), bool, int, float, complex, str, torch.device, torch.dtype, torch.Size)
)
"""Immutable, and read back as they are. Subclasses are not: np.float64 is a float."""
MAPPINGS = frozenset((dict, OrderedDict, Counter, defaultdict))
SEQUENCES = frozenset((list, tuple, deque))
SETS = frozenset((set, frozenset))
_CONTENT = PLAIN | SETS | {bytes}
FACTORIES = {kind.__name__: kind for kind in (int, float, str, list, dict, set)}


def leaves(value: object, path: str, above: tuple[int, ...] = ()) -> Iterator[tuple[str, object]]:
    """What lies in nested containers, each with the path by which a script would name it.

    A container inside itself counts as a leaf; `above` has the ids of those around the value.
    """
    if id(value) in above:
        yield path, value
    elif type(value) in MAPPINGS:
        for key, item in value.items():  # type: ignore[attr-defined]
            yield from leaves(item, f"{path}[{key!r}]", (*above, id(value)))
    elif type(value) in SEQUENCES:
        for index, item in enumerate(value):  # type: ignore[arg-type]
            yield from leaves(item, f"{path}[{index}]", (*above, id(value)))
    elif type(value) not in _CONTENT:
        yield path, value


def leaves_of(attributes: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """The leaves of all attributes."""
    for name, value in attributes.items():
        yield from leaves(value, name)


def is_stateful(value: object) -> bool:
    """Whether it has `state_dict` and `load_state_dict`."""
    return (
        not isinstance(value, type)
        and callable(getattr(value, "state_dict", None))
        and callable(getattr(value, "load_state_dict", None))
    )


def is_data(value: object) -> bool:
    """Whether its content is saved as it is, so that nothing has to be known of its past."""
    return isinstance(value, torch.Tensor) or tensors.is_array(value)


class Encoder:
    """Makes nodes; `unchanged(path, value)` is asked about all that is not data.

    `copied` brings a tensor to host memory.
    """

    def __init__(
        self,
        unchanged: Callable[[str, object], bool],
        copied: tensors.Copied = tensors.on_host,
    ) -> None:
        self._unchanged = unchanged
        self._copied = copied
        self._memo: tensors.Memo = {}
        self._above: list[int] = []
        """Ids of the containers around what is being encoded."""

    @property
    def size(self) -> int:
        """Bytes of the tensors encoded so far."""
        return sum(copy.nbytes for _, copy in self._memo.values())

    def encode(self, value: Any, path: str) -> Node:
        """The node of one value; raise UnsavedError with the path of what cannot be one."""
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind in MAPPINGS or kind in SEQUENCES:
            return self._container(value, path)
        if kind is bytes:  # weights_only refuses an empty one
            return {TAG: "bytes", "latin-1": value.decode("latin-1")}
        if kind in SETS:
            return {TAG: kind.__name__, "items": sorted((_key(i, path) for i in value), key=repr)}
        return self._data(value, path) if is_data(value) else self._object(value, path)

    def _container(self, value: Any, path: str) -> Node:
        if id(value) in self._above:
            raise UnsavedError(path, value, "that contains itself")
        self._above.append(id(value))
        encode = self._mapping if type(value) in MAPPINGS else self._sequence
        node = encode(value, path)
        self._above.pop()
        return node

    def _mapping(self, value: Any, path: str) -> Node:
        items = {
            _key(key, path): self.encode(item, f"{path}[{key!r}]") for key, item in value.items()
        }
        if type(value) is dict:
            return items
        node: dict[str, Any] = {TAG: type(value).__name__, "items": items}
        if isinstance(value, defaultdict):
            node["factory"] = value.default_factory and value.default_factory.__name__
            if value.default_factory not in (None, *FACTORIES.values()):
                raise UnsavedError(path, value, "whose factory is not a builtin type")
        if metadata := getattr(value, "_metadata", None):  # a module's state_dict: its versions
            node["metadata"] = self.encode(dict(metadata), path)
        return node

    def _sequence(self, value: Any, path: str) -> Node:
        items = [self.encode(item, f"{path}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, deque):
            return {TAG: "deque", "items": items, "maxlen": value.maxlen}
        return items if isinstance(value, list) else tuple(items)

    def _data(self, value: Any, path: str) -> Node:
        if isinstance(value, torch.Tensor):
            return {TAG: "tensor", **tensors.encode_tensor(value, path, self._memo, self._copied)}
        return {TAG: "array", **tensors.encode_array(value, path)}

    def _object(self, value: Any, path: str) -> Node:
        loadable = rng.is_generator(value) or is_stateful(value)
        if not self._unchanged(path, value):
            made = "was made or given other parts after setup"
            why = made if loadable else "may have changed since setup"
            raise UnsavedError(path, value, f"that {why}")
        if not loadable:
            return {TAG: "kept"}
        if rng.is_generator(value):
            return {TAG: "generator", "state": self.encode(rng.get_state(value), path)}
        node = {TAG: "stateful", "state": self.encode(value.state_dict(), path)}
        if isinstance(value, torch.nn.Module):
            node["beside"] = self.encode(modules.beside_state_dict(value), path)
        return node


def _key(key: Any, path: str) -> Any:
    plain = type(key) in PLAIN or (type(key) is tuple and all(type(k) in PLAIN for k in key))
    if not plain or key == TAG:
        raise UnsavedError(path, key, "and cannot be saved as a key or an item of a set")
    return key
