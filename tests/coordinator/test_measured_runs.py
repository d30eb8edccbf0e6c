"""The estimator against real trainings: benchmarks/estimates.py shows all of it."""

import pytest
from benchmarks.estimates import Row, carried, changed, judge, learned, read_table, siblings


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_table()


def test_what_was_learned_is_hardly_ever_too_low(rows: list[Row]) -> None:
    """Sharper than the best published mark, 1.6 %, since the same program has run before."""
    found = judge(learned(rows, 1))
    assert found.error < 0.016
    assert found.too_low < 0.02
    assert found.over < 0.10


def test_an_edit_and_a_sibling_are_close_enough(rows: list[Row]) -> None:
    edited, beside = judge(changed(rows)), judge(siblings(rows))
    assert (edited.error, beside.error) < (0.10, 0.05)
    assert max(edited.too_low, beside.too_low) < 0.10


@pytest.mark.parametrize("combinations", [1, 2, 4, 8])
def test_other_combinations_are_seldom_too_low(rows: list[Row], combinations: int) -> None:
    found = judge(carried(rows, combinations))
    assert found.unknown == 0
    assert found.too_low < 0.10


def test_more_combinations_make_it_sharper(rows: list[Row]) -> None:
    errors = [judge(carried(rows, count)).error for count in (1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05
