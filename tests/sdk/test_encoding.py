"""Values come back bit for bit through files that can run no code; a digest tells them apart."""

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gpurun import sdk
from gpurun.sdk import nodes
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import TAG, Encoder
from gpurun.sdk.errors import UnsavedError

TEXT = st.text().filter(lambda text: text != TAG)
"""Hypothesis reads the code for words to try; one of them no key can be."""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS | st.complex_numbers() | st.frozensets(st.integers()) | st.sets(TEXT),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(TEXT | st.integers() | st.tuples(st.integers(), TEXT), inner)
        | st.lists(inner).map(lambda items: deque(items, maxlen=7))
        | st.dictionaries(TEXT, inner).map(OrderedDict)
        | st.dictionaries(TEXT, inner).map(lambda items: defaultdict(list, items))
        | st.dictionaries(TEXT, st.integers()).map(Counter)
    ),
    max_leaves=12,
)


def shown(value: Any) -> Any:
    """Types and texts all the way down: NaN is itself, and a set has no order."""
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, value))
    if isinstance(value, dict):
        return type(value), [(repr(key), shown(item)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return type(value), getattr(value, "maxlen", None), [shown(item) for item in value]
    return type(value), repr(value)


def test_the_one_word_that_marks_a_node_is_refused_as_a_key() -> None:
    """And named; as a value it is a word like any other."""
    encoder = Encoder(lambda _path, _value: False)
    with pytest.raises(UnsavedError, match=r"^it is a str and cannot be saved as a key"):
        encoder.encode({TAG: 1}, "it")
    assert encoder.encode([TAG], "it") == [TAG]


def through_a_file(value: Any, path: str) -> Any:
    """Encode, write, read with weights_only, decode."""
    node = Encoder(lambda _path, _value: False).encode(value, "it")
    nodes.write_nodes({"it": node}, path)
    return decode(nodes.read_nodes(path)["it"])


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_plain_values_come_back(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any nesting of builtin containers comes back equal and of the same types."""
    back = through_a_file(value, str(tmp_path_factory.getbasetemp() / "plain.pt"))
    assert shown(back) == shown(value)
    assert sdk.digest(back) == sdk.digest(value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.array(3.5),
        np.zeros((0, 2), dtype=np.uint64),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["ab", "c"]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.float64(0.1),
        np.int8(-3),
        np.bool_(True),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.dtype}",
)
def test_numpy_values_come_back(value: Any, tmp_path: Any) -> None:
    """Arrays and scalars of every kind, which weights_only alone would refuse."""
    back = through_a_file(value, str(tmp_path / "numpy.pt"))
    assert (type(back), back.dtype, back.shape) == (type(value), value.dtype, value.shape)
    assert np.array_equal(back, value)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(2.5, dtype=torch.bfloat16),
        torch.zeros(0, 3),
        torch.arange(12).reshape(3, 4).t(),
        torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([True]),
        torch.ones(3).expand(2, 3),
        nn.Parameter(torch.ones(2), requires_grad=False),
        torch.ones(2, requires_grad=True),
    ],
    ids=lambda value: f"{value.dtype}-{tuple(value.shape)}-{value.requires_grad}",
)
def test_tensors_come_back(value: torch.Tensor, tmp_path: Any) -> None:
    """Bits, type, shape and whether it learns; also into a tensor that is there."""
    back = through_a_file(value, str(tmp_path / "tensor.pt"))
    assert (type(back), back.dtype, back.requires_grad) == (
        type(value),
        value.dtype,
        value.requires_grad,
    )
    assert torch.equal(back, value)
    node = Encoder(lambda _path, _value: False).encode(value, "it")
    assert torch.equal(decode(node, torch.zeros_like(value)), value)


def test_a_view_is_saved_without_what_it_views(tmp_path: Any) -> None:
    """Ten numbers out of a million take no megabytes."""
    path = tmp_path / "view.pt"
    through_a_file(torch.zeros(1_000_000)[:10], str(path))
    assert path.stat().st_size < 10_000


def test_the_digest_tells_bits_types_and_names() -> None:
    """Equal only where names, types, shapes and bytes are; the order of names is no matter."""
    values: list[Any] = [
        {"a": 1},
        {"b": 1},
        {"a": 1.0},
        {"a": True},
        {"a": torch.ones(2)},
        {"a": torch.ones(2, dtype=torch.float64)},
        {"a": torch.ones(2, 1)},
        {"a": torch.nextafter(torch.ones(2), torch.zeros(2))},
        {"a": [1, 2]},
        {"a": (1, 2)},
        {"a": "1"},
    ]
    assert len({sdk.digest(value) for value in values}) == len(values)
    assert sdk.digest({"a": 1, "b": 2}) == sdk.digest({"b": 2, "a": 1})
    assert sdk.digest(nn.Linear(2, 2)) != sdk.digest(nn.Linear(2, 2))
