"""Messages survive the wire whole, and what is no message is refused with one error."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.examples import KINDS, REPLIES, REQUESTS, example

from gpurun.protocol import codec, messages
from gpurun.protocol.codec import MalformedError, decode_reply, decode_request, encode
from gpurun.protocol.job import Held, JobSpec

HELLO = {"type": "Hello", "protocol": 1, "version": "1"}
DECODERS = (decode_request, decode_reply)


def pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def refuse(data: bytes) -> None:
    """Neither side takes the bytes, and each says why in one line."""
    for decode in DECODERS:
        with pytest.raises(MalformedError) as error:
            decode(data)
        assert len(str(error.value).splitlines()) == 1


def test_every_message_is_said_by_exactly_one_side() -> None:
    defined = set(messages.Message.__subclasses__())
    assert set(REQUESTS) | set(REPLIES) == defined
    assert not set(REQUESTS) & set(REPLIES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_with_every_field_set_comes_out_as_it_went_in(
    kind: type[messages.Message],
) -> None:
    message = example(kind)
    assert all(
        getattr(message, field.name) != field.default for field in msgspec.structs.fields(kind)
    )
    mine, other = DECODERS if kind in REQUESTS else reversed(DECODERS)
    assert mine(encode(message)) == message
    with pytest.raises(MalformedError):
        other(encode(message))


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_cut_short_anywhere_is_refused(kind: type[messages.Message]) -> None:
    data = encode(example(kind))
    for length in range(len(data)):
        refuse(data[:length])
    refuse(data + b"\xc0")


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_needed_or_has_its_default_and_none_is_added(
    kind: type[messages.Message],
) -> None:
    whole = msgspec.msgpack.decode(encode(example(kind)))
    refuse(pack(whole | {"more": 1}))
    for field in msgspec.structs.fields(kind):
        partial = pack({name: value for name, value in whole.items() if name != field.name})
        if field.required:
            refuse(partial)
        else:
            decode = decode_request if kind in REQUESTS else decode_reply
            assert getattr(decode(partial), field.name) == field.default
        refuse(pack(whole | {field.name: {"of": "another type"}}))


@pytest.mark.parametrize(
    "value",
    [
        HELLO | {"type": "Nothing"},
        HELLO | {"type": None},
        HELLO | {"protocol": "1"},
        HELLO | {"protocol": 1.5},
        HELLO | {"protocol": True},
        HELLO | {"a\nb\x1b[2J": 1},
        {"protocol": 1, "version": "1"},
        [HELLO],
        None,
        7,
        {},
    ],
)
def test_what_is_no_message_is_refused(value: object) -> None:
    refuse(pack(value))


def test_nothing_is_read_that_is_nested_without_end() -> None:
    refuse(b"\x91" * 100_000)
    refuse(b"\x81\xa1x" * 100_000)
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    refuse(pack(HELLO | {"version": deep}))


def test_text_that_is_not_utf8_is_refused() -> None:
    refuse(encode(messages.Hello(protocol=1, version="AAAA")).replace(b"AAAA", b"\xff\xfe\xfd\xfc"))


def test_a_length_that_is_a_lie_is_refused() -> None:
    """A text, a list and a map of 4 GiB of which nothing follows."""
    for start in (b"\xdb", b"\xdd", b"\xdf"):
        refuse(start + b"\xff\xff\xff\xff")


def test_a_message_of_the_greatest_size_is_read_and_a_byte_more_is_not() -> None:
    """One mebibyte to the coordinator; its answers may be longer."""
    spare = codec.MAX_MESSAGE - len(encode(messages.Hello(protocol=1, version="x" * 70_000)))
    fits = messages.Hello(protocol=1, version="x" * (70_000 + spare))
    assert decode_request(encode(fits)) == fits
    over = messages.Hello(protocol=1, version="x" * (70_001 + spare))
    with pytest.raises(MalformedError, match="over the limit of 1048576"):
        decode_request(encode(over))
    long = messages.Problem(text="x" * (2 << 20))
    assert decode_reply(encode(long)) == long
    with pytest.raises(MalformedError, match="over the limit"):
        decode_reply(bytes(codec.MAX_REPLY + 1))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    refuse(data)


@given(st.sampled_from(KINDS), st.integers(0), st.integers(0, 255))
def test_a_message_with_one_wrong_byte_is_another_message_or_refused(
    kind: type[messages.Message], place: int, byte: int
) -> None:
    data = bytearray(encode(example(kind)))
    data[place % len(data)] = byte
    for decode in DECODERS:
        try:
            assert isinstance(decode(bytes(data)), messages.Message)
        except MalformedError as error:
            assert len(str(error).splitlines()) == 1


@given(st.builds(messages.Submit, spec=st.builds(JobSpec), held=st.none() | st.builds(Held)))
def test_every_submission_that_can_be_said_survives_the_wire(message: messages.Submit) -> None:
    """Numbers beyond 64 bits, nan and lone surrogates cannot be said at all."""
    try:
        data = encode(message)
    except (OverflowError, UnicodeEncodeError):
        return
    again = decode_request(data)
    assert again == message or encode(again) == data
