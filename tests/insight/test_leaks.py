from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from forecast.insight.leaks import find_deciding_levels, find_late_filling, find_separation

DRAW = np.random.default_rng(5)
WON = (DRAW.random(400) < 0.4).astype(float)
NOISE = DRAW.normal(size=400)
DAY = date(2024, 2, 29)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(np.where(WON == 1, 1.0, -1.0) + NOISE * 0.1),
        pl.Series(np.where(WON == 1, -3, 3)),
        pl.Series(WON == 1),
        pl.Series(["yes" if won else "no" for won in WON]),
        pl.Series([DAY + timedelta(days=int(won)) for won in WON]),
        pl.Series([7.0 if won else None for won in WON]),
        pl.Series([None if won else "why" for won in WON]),
    ],
)
def test_a_column_that_tells_the_outcome_is_found(column):
    """By its values in either direction, its levels, or by being filled at all."""
    found = find_separation(column, WON)
    assert found is not None
    assert 0.95 < found <= 1


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(WON + NOISE),
        pl.Series(NOISE),
        pl.Series([f"id{number}" for number in range(400)]),
        pl.Series([None] * 400, dtype=pl.Float64),
        pl.Series([DAY] * 400),
    ],
)
def test_a_column_that_does_not_is_not(column):
    """A merely good one, noise, ids of one row each, an empty and a constant one stay."""
    assert find_separation(column, WON) is None


def test_nothing_separates_outcomes_of_one_kind():
    """Where all was won, there is nothing to tell apart."""
    assert find_separation(pl.Series(NOISE), np.ones(400)) is None


def test_a_column_filled_after_closing_is_found_with_both_shares():
    """Half of all closed rows more than of open ones is suspicious."""
    known = np.arange(400) < 200
    column = pl.Series([1.0 if number < 200 or number % 4 == 0 else None for number in range(400)])
    assert find_late_filling(column, known) == (1.0, 0.25)
    assert find_late_filling(column, ~known) is None
    assert find_late_filling(pl.Series(known).replace_strict({True: 1, False: 2}), known) is None


def test_filling_can_not_be_compared_where_all_or_none_are_closed():
    """Without both, there is no gap."""
    column = pl.Series([1.0] * 400)
    assert find_late_filling(column, np.ones(400, dtype=bool)) is None
    assert find_late_filling(column, np.zeros(400, dtype=bool)) is None


def test_whether_a_cell_is_filled_may_tell_less_than_its_value():
    """An AUC of 0.9 by gaps alone is suspicious: they are left by how the sale went."""
    filled = np.where(DRAW.random(400) < 0.9, WON, 1 - WON) == 1
    assert find_separation(pl.Series([1.0 if one else None for one in filled]), WON) > 0.85
    assert find_separation(pl.Series(filled), WON) is None


def tags(won, sides):
    """Draw tags: a fifth of the records of each of these sides has a tag that tells it, the others tags that tell nothing."""
    told = DRAW.random(len(won)) < 0.2
    return pl.Series(
        [
            f"end {end:.0f}" if tell and end in sides else f"tag {n % 3}"
            for n, (end, tell) in enumerate(zip(won, told, strict=True))
        ]
    )


def test_levels_that_decide_both_ways_are_found_at_any_rate_of_winning():
    """Tags set at the end tell a part of both sides for sure, whatever the share won; the AUC of the whole column is low."""
    for share in (0.05, 0.4, 0.95):
        won = (DRAW.random(8000) < share).astype(float)
        column = tags(won, {0.0, 1.0})
        assert find_separation(column, won) is None
        assert find_deciding_levels(column, won) == pytest.approx((0.2, 0.2), abs=0.06)


@pytest.mark.parametrize("sides", [set(), {0.0}, {1.0}])
def test_levels_that_decide_one_way_may_be_known_before_the_end(sides):
    """A segment that never buys, or always, is no leak by itself."""
    won = (DRAW.random(4000) < 0.4).astype(float)
    assert find_deciding_levels(tags(won, sides), won) is None


def test_few_rows_of_one_outcome_decide_nothing():
    """Levels of 25 rows that all ended alike may have done so by chance and a good seller; a column of them is no leak."""
    won = np.repeat([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], 25)
    column = pl.Series(["a"] * 25 + ["b"] * 25 + [f"seller {n % 3}" for n in range(150)])
    assert find_deciding_levels(column, won) is None
