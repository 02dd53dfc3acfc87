from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from forecast.errors import TooLittleHistoryError
from forecast.insight.tier_accuracy import measure_tier_accuracy
from forecast.records import AccountScore, Order
from forecast.store import unit_of_work

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
NOW = AS_OF + timedelta(days=90)


@pytest.fixture
def judged(engine):
    """Two accounts scored as of AS_OF for 90 days: one bought for 80 within it, and for more on the day after."""
    numbers = dict.fromkeys(("expected_orders", "expected_orders_low", "expected_orders_high"), 1.0)
    common = {
        "version": "v",
        "as_of": AS_OF,
        "horizon_days": 90,
        "potential": "steady",
        "overdue": False,
        "basis": "own",
    }
    ends = {"expected_revenue_low": 0.0, "expected_revenue_high": 90.0, "median_revenue": 0.0, "level": "learnt"}
    scores = [
        {
            **numbers,
            **common,
            **ends,
            "account_id": "x",
            "expected_revenue": 100.0,
            "probability_active": 0.9,
            "tier": "A",
        },
        {
            **numbers,
            **common,
            **ends,
            "account_id": "y",
            "expected_revenue": 20.0,
            "probability_active": 0.1,
            "tier": "C",
        },
    ]
    days = {"before": -1, "within": 89, "after": 90}
    orders = [
        {"id": name, "external_id": name, "account_id": "x", "amount": 80, "ordered_at": AS_OF + timedelta(days=ago)}
        for name, ago in days.items()
    ]
    with unit_of_work(engine) as session:
        session.execute(insert(AccountScore), scores)
        session.execute(insert(Order), orders)
    return engine


def test_past_scores_are_compared_with_what_was_bought_within_their_horizon(judged):
    """Errors, capture, AUC, total and coverage are those of a plain count."""
    with unit_of_work(judged) as session:
        found = measure_tier_accuracy(session, known_until={"v": AS_OF}, now=NOW).row(0, named=True)
    assert (found["accounts"], found["auc"], found["tier_a_share"], found["coverage_80"]) == (2, 1.0, 1.0, 1.0)
    assert found["absolute_error"] == pytest.approx((20 + 20) / 2)
    assert found["median_absolute_error"] == pytest.approx(80 / 2)
    assert found["total_ratio"] == pytest.approx(120 / 80)


@pytest.mark.parametrize(
    ("known_until", "now"),
    [({"v": AS_OF}, NOW - timedelta(seconds=1)), ({"v": AS_OF + timedelta(days=1)}, NOW), ({}, NOW)],
)
def test_scores_that_cannot_be_judged_are_not(judged, known_until, now):
    """A horizon that is not over, a version that knew what came after or is not there: too little to say."""
    with unit_of_work(judged) as session, pytest.raises(TooLittleHistoryError, match="none of 2 scores"):
        measure_tier_accuracy(session, known_until=known_until, now=now)
