"""Nodes back to values.

Loading goes into the object that is already there wherever it fits, so that whoever else holds
it sees what was loaded: tied tensors stay tied. What is made anew is known to nobody else, so
two names for one list that training has made are two lists afterwards.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from gpurun.sdk import modules, rng, tensors
from gpurun.sdk.encoding import FACTORIES, TAG, Node


def decode(node: Node, current: Any = None) -> Any:
    """The value of a node; `current` is what is there now, and takes it up where it can."""
    kind = node.get(TAG, "dict") if isinstance(node, dict) else type(node).__name__
    decoder = _DECODERS.get(kind)
    return decoder(node, current) if decoder else node


def _decode_dict(node: Node, current: Any) -> Any:
    return _fill(current if type(current) is dict else {}, node)


def _decode_ordered(node: Node, current: Any) -> Any:
    value = _fill(current if type(current) is OrderedDict else OrderedDict(), node["items"])
    if "metadata" in node:
        value._metadata = OrderedDict(decode(node["metadata"]))
    return value


def _decode_counter(node: Node, current: Any) -> Any:
    return _fill(current if type(current) is Counter else Counter(), node["items"])


def _decode_defaultdict(node: Node, current: Any) -> Any:
    made: Any = defaultdict(FACTORIES.get(node["factory"]))
    return _fill(current if type(current) is defaultdict else made, node["items"])


def _fill(mapping: Any, items: dict[Any, Node]) -> Any:
    values = {key: decode(item, mapping.get(key)) for key, item in items.items()}
    mapping.clear()
    for key, value in values.items():  # Counter.update would add
        mapping[key] = value
    return mapping


def _decode_list(node: Node, current: Any) -> Any:
    value = current if type(current) is list else []
    value[:] = _items(node, value)
    return value


def _decode_deque(node: Node, current: Any) -> Any:
    same = type(current) is deque and current.maxlen == node["maxlen"]
    value = current if same else deque(maxlen=node["maxlen"])
    items = _items(node["items"], value)
    value.clear()
    value.extend(items)
    return value


def _decode_tuple(node: Node, current: Any) -> Any:
    return tuple(_items(node, current if type(current) is tuple else ()))


def _items(nodes: Any, current: Any) -> list[Any]:
    known = list(current)[: len(nodes)]
    return [decode(item, now) for item, now in zip_longest(nodes, known)]


def _decode_set(node: Node, current: Any) -> Any:
    if type(current) is not set:
        return set(node["items"])
    current.clear()
    current.update(node["items"])
    return current


def _decode_generator(node: Node, current: Any) -> Any:
    rng.set_state(current, decode(node["state"]))
    return current


def _decode_stateful(node: Node, current: Any) -> Any:
    current.load_state_dict(decode(node["state"]))
    if "beside" in node:
        modules.put_beside(current, decode(node["beside"]))
    return current


_DECODERS: dict[str, Callable[[Node, Any], Any]] = {
    "dict": _decode_dict,
    "OrderedDict": _decode_ordered,
    "Counter": _decode_counter,
    "defaultdict": _decode_defaultdict,
    "list": _decode_list,
    "tuple": _decode_tuple,
    "deque": _decode_deque,
    "set": _decode_set,
    "frozenset": lambda node, _: frozenset(node["items"]),
    "bytes": lambda node, _: node["latin-1"].encode("latin-1"),
    "tensor": tensors.decode_tensor,
    "array": tensors.decode_array,
    "generator": _decode_generator,
    "stateful": _decode_stateful,
    "kept": lambda _, current: current,
}
