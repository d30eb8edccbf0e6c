"""One example of every message, with every field different from its default."""

import enum
import types
import typing

import msgspec

from gpurun.protocol import messages as m

S = typing.TypeVar("S", bound=msgspec.Struct)

REQUESTS: tuple[type[m.Message], ...] = typing.get_args(m.Request)
REPLIES: tuple[type[m.Message], ...] = typing.get_args(m.Reply)
KINDS = REQUESTS + REPLIES


def example(kind: type[m.Message]) -> m.Message:
    """Fill every field by its type; the same values each time."""
    return filled(kind)


def filled(kind: type[S]) -> S:
    """Any struct, in the same way."""
    fields = msgspec.structs.fields(kind)
    return kind(**{f.encode_name: _value(f.type, n) for n, f in enumerate(fields, 1)})


def _value(hint: typing.Any, number: int) -> object:
    origin = typing.get_origin(hint)
    if origin is tuple:
        return (_value(typing.get_args(hint)[0], number), _value(typing.get_args(hint)[0], 99))
    if origin in (typing.Union, types.UnionType):
        return _value(next(a for a in typing.get_args(hint) if a is not type(None)), number)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return list(hint)[-1]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return filled(hint)
    return {bool: True, int: 1000 + number, float: number + 0.5, str: f"text {number} é"}[hint]
