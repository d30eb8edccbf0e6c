"""Messages to MessagePack and back; decoding is strict and bounded.

One message is one frame. Unknown tags, unknown fields, missing fields and wrong types are
refused; nothing that was refused has changed anything.
"""

import functools
from typing import TypeAlias, cast

import msgspec

from gpurun.protocol.messages import Message, Reply, Request

MAX_MESSAGE = 1 << 20
"""Bytes of one message to the coordinator: a hundred times the longest command line seen."""
MAX_REPLY = 1 << 26
"""Bytes of one answer: a status of 10,000 jobs fits."""

_encoder = msgspec.msgpack.Encoder()
_Decoder: TypeAlias = "msgspec.msgpack.Decoder[object]"


class MalformedError(ValueError):
    """The bytes are not a message of this protocol."""


def encode(message: Message) -> bytes:
    """Bytes of one message."""
    return _encoder.encode(message)


def decode_request(data: bytes) -> Message:
    """Read what a client says; raise MalformedError otherwise."""
    return _decode(_requests(), data, MAX_MESSAGE)


def decode_reply(data: bytes) -> Message:
    """Read what the coordinator says; raise MalformedError otherwise."""
    return _decode(_replies(), data, MAX_REPLY)


# Each side needs one of them, and building it takes a millisecond of every start.
@functools.cache
def _requests() -> _Decoder:
    return msgspec.msgpack.Decoder(Request)


@functools.cache
def _replies() -> _Decoder:
    return msgspec.msgpack.Decoder(Reply)


def _decode(decoder: _Decoder, data: bytes, limit: int) -> Message:
    if len(data) > limit:
        raise MalformedError(f"a message of {len(data)} bytes is over the limit of {limit}")
    try:
        return cast("Message", decoder.decode(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        # The words quote names out of the message: whatever is in them, they stay one line.
        words = " ".join(str(error).encode(errors="backslashreplace").decode().split())
        raise MalformedError(f"not a message of this protocol: {words}") from None
