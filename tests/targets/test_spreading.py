import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import InputError
from forecast.targets.spreading import Decided, credible_rates, in_cents, keep_decided, month_shares

PARTS = np.array([[10.0, 20.0, 30.0], [5.0, 10.0, 15.0], [1.0, 4.0, 5.0]])


def decided(rows, columns, amount):
    """Decide the sum of the parts in some rows and columns."""
    mask = np.zeros(PARTS.shape, dtype=bool)
    mask[np.ix_(rows, columns)] = True
    return Decided(parts=mask, amount=amount, what=f"{rows} {columns}")


def test_what_is_decided_holds_and_the_rest_shares_what_is_left_as_before():
    """The whole stays, the decided sum is met, and proportions among the others are kept."""
    found = keep_decided(PARTS, [decided([0], [0, 1, 2], 30.0)])
    assert found.sum() == pytest.approx(PARTS.sum())
    assert found[0].sum() == pytest.approx(30)
    assert found[1:] / found[1:].sum() == pytest.approx(PARTS[1:] / PARTS[1:].sum())


def test_decisions_that_cross_hold_together():
    """A unit's year, another's and one month of all can be decided at once."""
    found = keep_decided(
        PARTS, [decided([0], [0, 1, 2], 50.0), decided([1], [0, 1, 2], 40.0), decided([0, 1, 2], [0], 20.0)]
    )
    assert found.sum() == pytest.approx(100)
    assert (found[0].sum(), found[1].sum(), found[:, 0].sum()) == pytest.approx((50, 40, 20), abs=0.01)
    assert (found >= 0).all()


@pytest.mark.parametrize(
    "decisions",
    [
        [decided([0], [0, 1, 2], 101.0)],
        [decided([0], [0], -1.0)],
        [decided([0, 1, 2], [0, 1, 2], 90.0)],
        [decided([0], [0, 1, 2], 30.0), decided([0], [0, 1], 40.0)],
    ],
)
def test_decisions_that_contradict_are_refused(decisions):
    """More than the whole, less than nothing, another whole, and a part larger than its own whole are no target."""
    with pytest.raises(InputError):
        keep_decided(PARTS, decisions)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=40).filter(lambda values: sum(values) > 1), st.integers(1, 10**10)
)
def test_rounding_loses_no_cent(values, cents):
    """Whatever is divided, the parts in cents add up to the whole, each within a cent of its share."""
    shares = np.array(values) / sum(values)
    found = in_cents(shares * cents / 100, cents / 100, np.zeros(len(values), dtype=np.int64))
    assert found.sum() == cents
    assert np.abs(found - shares * cents).max() <= 1 + 1e-3


def test_rounding_keeps_each_group_whole():
    """What was decided together has exactly what was decided."""
    groups = np.array([0, 0, 0, 1, 1, 1])
    found = in_cents(np.array([1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3]), 3.0, groups)
    assert (found[:3].sum(), found[3:].sum()) == (100, 200)


def test_a_rate_of_few_months_is_drawn_to_the_mean_of_all():
    """Somebody who is new gets the usual rate; one with a long record keeps most of their own."""
    rng = np.random.default_rng(1)
    monthly = rng.gamma(2, np.array([[10.0], [50.0], [90.0], [50.0]]) / 2, (4, 24))
    monthly[3, 1:] = np.nan
    monthly[3, 0] = 400
    rates = credible_rates(np.vstack([monthly, np.full(24, np.nan)]))
    own = np.nanmean(monthly, axis=1)
    usual = rates[4]
    kept = (rates[:4] - usual) / (own - usual)
    assert rates[:3] == pytest.approx([10, 50, 90], rel=0.35)
    assert 0 < kept[3] < min(kept[0], kept[2]) < 1
    assert usual == pytest.approx(np.nansum(monthly) / np.isfinite(monthly).sum())


def test_rates_that_differ_by_chance_alone_are_drawn_together():
    """Where nothing tells units apart, their rates are nearly one."""
    monthly = np.random.default_rng(3).gamma(1, 100, (6, 24))
    assert np.ptp(credible_rates(monthly)) < np.ptp(monthly.mean(axis=1)) / 2


def test_months_without_a_past_year_count_as_equal():
    """Without a whole year nothing says that months differ."""
    assert month_shares(np.empty((0, 12))) == pytest.approx(np.full(12, 1 / 12))


def test_seasons_are_believed_the_more_the_more_years_show_them():
    """A month that always holds half of the year comes near to it with every year, and shares add up to one."""
    year = np.array([50.0, *[50 / 11] * 11])
    first, third = (month_shares(np.tile(year, (count, 1))) for count in (1, 3))
    assert first.sum() == pytest.approx(1)
    assert 1 / 12 < first[0] < third[0] < 0.5
