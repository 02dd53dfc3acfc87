from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sqlalchemy import insert

from forecast.accounts.wording import difference_sentence
from forecast.insight.segments import gini, read_segment_accounts, segments, whole_market
from forecast.records import Account, AccountScore, Order
from forecast.store import unit_of_work

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def accounts(*rows, first_order_at=AS_OF - timedelta(days=800)):
    """Give accounts of (industry, revenue, revenue_before, tier)."""
    frame = pl.DataFrame(rows, schema=["industry", "revenue", "revenue_before", "tier"], orient="row")
    return frame.with_columns(
        pl.format("a{}", pl.int_range(pl.len())).alias("account_id"),
        pl.col("revenue", "revenue_before").cast(pl.Float64),
        as_of=pl.lit(AS_OF),
        first_order_at=pl.lit(first_order_at),
        expected_revenue=pl.col("revenue").cast(pl.Float64),
        probability_active=pl.lit(0.5),
        orders=pl.lit(2),
        order_value=pl.col("revenue") / 2.0,
    )


def test_segments_add_up_to_the_market():
    """Accounts, revenue and tiers of all segments are those of all accounts, the unknown segment among them."""
    given = accounts(("Retail", 60, 30, "A"), ("Retail", 20, 10, "B"), ("Food", 15, 0, "C"), (None, 5, 5, "C"))
    found, market = segments(given, "industry"), whole_market(given)
    assert [one.name for one in found] == ["Retail", "Food", None]
    assert sum(one.accounts for one in found) == market.accounts == 4
    assert sum(one.revenue for one in found) == market.revenue == 100
    assert sum(one.revenue_share for one in found) == pytest.approx(1)
    assert {tier: sum(one.tiers[tier] for one in found) for tier in "ABC"} == market.tiers
    assert [one.growth for one in found] == [1.0, None, 0.0]


def test_growth_needs_two_years():
    """Where orders of less than two years are stored, growth is missing."""
    given = accounts(("Retail", 60, 30, "A"), first_order_at=AS_OF - timedelta(days=700))
    assert segments(given, "industry")[0].growth is None


def test_concentration():
    """Ten of twelve equal accounts carry ten twelfths; one that has all is as concentrated as can be."""
    even = whole_market(accounts(*[("Food", 10, 0, "C")] * 12))
    assert (even.top_share, even.gini, even.herfindahl) == pytest.approx((10 / 12, 0, 1 / 12))
    one = whole_market(accounts(("Food", 100, 0, "A"), *[("Food", 0, 0, "C")] * 11))
    assert (one.top_share, one.gini, one.herfindahl) == pytest.approx((1, 11 / 12, 1))


def test_gini_is_half_the_mean_difference_over_the_mean():
    """As a plain loop over all pairs finds."""
    values = np.array([3.0, 1.0, 0.0, 7.0, 7.0])
    pairs = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(values) == pytest.approx(pairs / 2 / values.mean())


@pytest.mark.parametrize(("language", "text"), [("en", "value of an order 100 (others: 10)"), ("zh", "单均金额 100")])
def test_what_sets_a_segment_apart_is_said(language, text):
    """Figures whose means differ beyond chance are named in both segments; those that don't are not."""
    rows = [("Retail", 200 + step, 0, "A") for step in (-2, -1, 0, 1, 2)]
    rows += [("Food", 20 + step, 0, "A") for step in (-2, -1, 0, 1, 2)]
    retail = segments(accounts(*rows), "industry")[0]
    assert {one.figure for one in retail.differences} == {"expected_revenue", "order_value"}
    said = [difference_sentence(one, language) for one in retail.differences]
    assert any(one.startswith(text) for one in said)
    alike = [("Retail", 10 + step, 0, "A") for step in range(6)] + [("Food", 10 + step, 0, "A") for step in range(6)]
    assert segments(accounts(*alike), "industry")[0].differences == ()


def test_stored_accounts_are_read_with_what_they_bought(engine):
    """Revenue of the year before the score and of the year before that, without deleted or cancelled orders or those of later.

    Region and channel are the account's own, else those of the first order that names any.
    """
    days = {"now": 0, "a": 1, "b": 365, "c": 366, "gone": 5, "void": 5}
    score = {
        **dict.fromkeys(("expected_orders", "expected_orders_low", "expected_orders_high"), 1.0),
        **dict.fromkeys(("expected_revenue", "expected_revenue_low", "expected_revenue_high"), 9.0),
    }
    with unit_of_work(engine) as session:
        session.add(Account(id="x", external_id="x", region="North"))
        orders = [
            {
                "id": name,
                "external_id": name,
                "account_id": "x",
                "amount": 10 + ago,
                "ordered_at": AS_OF - timedelta(days=ago),
                "deleted_at": AS_OF if name == "gone" else None,
                "status": name,
                "region": "South",
                "channel": {"a": "Rep", "c": "Web", "void": "Fair"}.get(name),
            }
            for name, ago in days.items()
        ]
        session.execute(insert(Order), orders)
        session.add(
            AccountScore(
                **score, version="v", account_id="x", as_of=AS_OF, horizon_days=90, probability_active=0.5, tier="A",
                potential="steady", overdue=False, basis="own", level="learnt",
            )
        )  # fmt: skip
    with unit_of_work(engine) as session:
        found = read_segment_accounts(session)
    assert found.select("account_id", "region", "channel", "revenue", "orders", "revenue_before").rows() == [
        ("x", "North", "Web", 386, 2, 376)
    ]
