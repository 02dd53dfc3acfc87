import random
from datetime import timedelta

import polars as pl
import pytest
from buyers import FIRST, history_of
from polars.testing import assert_frame_equal

from forecast.customers import cut_customers, purchases_within
from forecast.features.customers import customer_features

AS_OF = FIRST + timedelta(days=400, hours=7)
HORIZON = 90


def make_orders(seed, *, first_day=0, end_day=400):
    """Draw orders of a few accounts, several on some days, some returns, some of nothing."""
    draw = random.Random(seed)
    return [
        (
            f"客户{draw.randrange(6)}",
            FIRST + timedelta(days=draw.randrange(first_day, end_day), minutes=draw.randrange(1440)),
            draw.choice([None, 0.0, -25.0, 10.0, 99.5, 1200.0]),
        )
        for _ in range(60)
    ]


def days_ago(moment):
    """Whole days between a moment and AS_OF; exactly one day ago is the newest day."""
    return (AS_OF - moment - timedelta(microseconds=1)) // timedelta(days=1)


def expect(orders, account):
    """Compute the features of an account by a plain loop; None where it never bought."""
    days, returned = {}, 0.0
    for owner, moment, amount in orders:
        if owner != account or moment >= AS_OF:
            continue
        worth = amount or 0.0
        if worth < 0:
            returned -= worth
            continue
        ago = days_ago(moment)
        days[ago] = days.get(ago, 0.0) + worth
    if not days:
        return None
    recent = [spent for ago, spent in days.items() if ago < HORIZON]
    season = [spent for ago, spent in days.items() if 365 - HORIZON <= ago < 365]
    return {
        "purchase_days": len(days),
        "spent": sum(days.values()),
        "recency_days": min(days),
        "tenure_days": max(days),
        "last_value": days[min(days)],
        "max_value": max(days.values()),
        "returned_amount": returned,
        "recent_purchases": len(recent),
        "recent_spent": sum(recent),
        "half_purchases": sum(ago < HORIZON // 2 for ago in days),
        "previous_purchases": sum(HORIZON <= ago < 2 * HORIZON for ago in days),
        "season_spent": sum(season),
    }


@pytest.mark.parametrize("seed", range(8))
def test_features_are_what_a_plain_loop_finds(seed):
    """Counts, sums and days of each account equal those of a loop over its orders."""
    orders = make_orders(seed)
    found = customer_features(history_of(orders), AS_OF, horizon_days=HORIZON)
    accounts = {owner for owner, *_ in orders}
    wanted = {account: values for account in accounts if (values := expect(orders, account))}
    assert found["account_id"].to_list() == sorted(wanted)
    for row in found.iter_rows(named=True):
        for name, value in wanted[row["account_id"]].items():
            assert row[name] == pytest.approx(value), name


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_later_changes_no_feature(seed):
    """Orders and events at or after the moment, of old and new accounts, are not seen."""
    orders = make_orders(seed)
    later = [*make_orders(seed + 50, first_day=401, end_day=500), ("new", AS_OF, 5000.0)]
    events = [("客户1", AS_OF - timedelta(days=3), "case")]
    before = customer_features(history_of(orders, events), AS_OF, horizon_days=HORIZON)
    after = history_of([*orders, *later], [*events, ("客户1", AS_OF, "case")])
    assert_frame_equal(before, customer_features(after, AS_OF, horizon_days=HORIZON), check_row_order=True)
    assert_frame_equal(before, customer_features(cut_customers(after, AS_OF), AS_OF, horizon_days=HORIZON))


def test_events_count_within_the_horizon():
    """Cases, activities and opportunities count by kind, those before the last horizon do not."""
    events = [
        ("a", AS_OF - timedelta(days=1), "case"),
        ("a", AS_OF - timedelta(days=HORIZON), "case"),
        ("a", AS_OF - timedelta(days=HORIZON, seconds=1), "case"),
        ("a", AS_OF - timedelta(days=5), "activity"),
    ]
    found = customer_features(history_of([("a", FIRST, 1.0)], events), AS_OF, horizon_days=HORIZON)
    assert found.select("case_count", "activity_count", "opportunity_count").row(0) == (2, 1, 0)


def test_purchases_within_a_horizon_are_days_with_their_net_revenue():
    """The moment itself counts, the end does not; returns lower the revenue, never below nothing."""
    end = AS_OF + timedelta(days=30)
    orders = [
        ("a", AS_OF, 10.0),
        ("a", AS_OF + timedelta(hours=2), 5.0),
        ("a", end - timedelta(hours=1), 20.0),
        ("a", end, 1000.0),
        ("a", AS_OF + timedelta(days=9), -3.0),
        ("b", AS_OF + timedelta(days=1), 2.0),
        ("b", AS_OF + timedelta(days=2), -50.0),
        ("c", AS_OF - timedelta(days=1), 7.0),
    ]
    found = purchases_within(history_of(orders), AS_OF, horizon_days=30).sort("account_id")
    assert found.rows() == [("a", 2.0, 32.0), ("b", 1.0, 0.0)]


def test_nobody_has_bought_yet():
    """Before the first order there are no rows, and no error."""
    found = customer_features(history_of([("a", AS_OF, 1.0)]), AS_OF, horizon_days=HORIZON)
    assert found.is_empty()
    assert found.schema["purchase_days"] == pl.Int64()
