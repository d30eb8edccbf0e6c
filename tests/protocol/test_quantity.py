"""How people write sizes, shares, durations and priorities, and how they are shown."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurun.protocol import quantity as q
from gpurun.protocol.quantity import GIB, KIB, MIB, TIB

PARSERS = (q.parse_size, q.parse_memory, q.parse_percent, q.parse_duration, q.parse_priority)
ALMOST = st.from_regex(r"\s*-?[0-9]{1,400}(\.[0-9]{0,3})?\s*[A-Za-z%µKI]{0,4}\s*", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GiB", 6 * GIB),
        ("6G", 6 * GIB),
        ("6gb", 6 * GIB),
        (" 6 GiB ", 6 * GIB),
        ("6144MiB", 6 * GIB),
        ("0.5g", GIB // 2),
        ("1.5TiB", TIB + TIB // 2),
        ("2k", 2 * KIB),
        ("3KiB", 3 * KIB),
        ("10b", 10),
        (f"{(1 << 60) - 1024}b", (1 << 60) - 1024),
    ],
)
def test_a_size_is_read_in_powers_of_1024_whatever_its_spelling(text: str, size: int) -> None:
    assert q.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "G",
        "-6G",
        "6X",
        "6ib",
        "6GiBs",
        "6 G B",
        "1e3",
        "0B",
        "0.4b",
        "1",
        "6144",
        "٣GiB",
        "1048576T",
    ],
)
def test_what_is_no_size_is_refused_with_a_form_that_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"try 6GiB|a size like 6GiB, 6G or 6144MiB"):
        q.parse_size(text)


def test_memory_is_a_size_or_a_share_of_each_device() -> None:
    assert q.parse_memory("6GiB") == (6 * GIB, None)
    assert q.parse_memory(" 25% ") == (None, 0.25)
    with pytest.raises(ValueError, match="size"):
        q.parse_memory("25p")


@pytest.mark.parametrize(
    ("text", "share"), [("40", 0.4), ("40%", 0.4), ("0.5 %", 0.005), ("100", 1.0)]
)
def test_a_percentage_becomes_a_share(text: str, share: float) -> None:
    assert q.parse_percent(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "101", "100.1%", "-1", "40g", "%", "forty"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a percentage.* like 40 or 40%"):
        q.parse_percent(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("250ms", 0.25),
        ("10min", 600.0),
        ("10m", 600.0),
        ("1.5h", 5400.0),
        ("2 D", 172800.0),
        ("0", 0.0),
    ],
)
def test_a_duration_becomes_seconds(text: str, seconds: float) -> None:
    assert q.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 weeks", "1h30m", "9" * 400, "1000000000"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"10min or 1\.5h"):
        q.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "priority"),
    [("low", -50), ("Normal", 0), (" HIGH ", 50), ("-100", -100), ("100", 100), ("+7", 7)],
)
def test_a_priority_has_a_name_or_a_number(text: str, priority: int) -> None:
    assert q.parse_priority(text) == priority


@pytest.mark.parametrize("text", ["", "urgent", "101", "-101", "1.5", "9" * 5000])
def test_what_is_no_priority_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not low, normal, high or a number from -100 to 100"):
        q.parse_priority(text)


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text() | ALMOST)
def test_no_text_does_worse_than_one_line_of_value_error(
    parse: Callable[[str], object], text: str
) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert type(error) is ValueError
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (MIB - 1, "1048575 B"),
        (MIB, "1 MiB"),
        (512 * MIB, "512 MiB"),
        (GIB, "1.0 GiB"),
        (6 * GIB, "6.0 GiB"),
        (TIB, "1.0 TiB"),
    ],
)
def test_a_size_is_shown_in_the_largest_unit_that_it_fills(size: int, text: str) -> None:
    assert q.format_size(size) == text


@given(st.integers(1, (1 << 50) - 1))
def test_what_is_shown_of_a_size_can_be_given_back(size: int) -> None:
    assert q.parse_size(q.format_size(size)) == pytest.approx(size, rel=0.5)


def test_a_share_is_shown_as_a_percentage() -> None:
    assert [q.format_share(share) for share in (0.0, 0.4, 1.0)] == ["0 %", "40 %", "100 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "0:00"),
        (7, "0:07"),
        (60, "1:00"),
        (760, "12:40"),
        (3599, "59:59"),
        (11100, "3:05:00"),
        (86400, "1d 0:00:00"),
        (183900, "2d 3:05:00"),
    ],
)
def test_a_duration_is_shown_as_a_clock_does(seconds: float, text: str) -> None:
    assert q.format_duration(seconds) == text
