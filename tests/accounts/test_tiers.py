import polars as pl
import pytest

from forecast.accounts.tiers import TierPolicy, Yardsticks, assign_tiers, find_yardsticks, potential

POLICY = TierPolicy(margin=0.3)


def customers(*values):
    """Give customers of these expected revenues."""
    return pl.DataFrame(
        {
            "account_id": [f"c{place}" for place in range(len(values))],
            "expected_revenue": [float(one) for one in values],
        }
    ).with_columns(
        probability_active=pl.lit(0.5),
        spent=pl.lit(100.0),
        tenure_days=pl.lit(400),
        recency_days=pl.lit(10),
        purchase_days=3,
    )


def tiers_of(found, before=None):
    """Tell the tiers in order."""
    yardsticks = find_yardsticks(found, POLICY, horizon_days=100)
    return "".join(assign_tiers(found, yardsticks, POLICY, before=before)["tier"])


def test_tiers_follow_cumulative_shares():
    """A are the largest that carry half of what is expected, B those up to 80 %, C the rest, whatever their order."""
    assert tiers_of(customers(10, 40, 21, 9, 20)) == "CAACB"
    assert tiers_of(customers(100)) == "A"
    assert tiers_of(customers(5, 5, 5, 5)) == "AAAA"


def test_what_is_usual_lately_is_that_of_customers_who_bought_lately():
    """Who bought once only, or was silent for half a horizon, doesn't count; nobody left, it is 0."""
    found = customers(1, 2, 3, 4).with_columns(
        probability_active=pl.Series([0.9, 0.7, 0.1, 0.1]),
        purchase_days=pl.Series([2, 5, 1, 9]),
        recency_days=pl.Series([50, 0, 0, 51]),
    )
    assert find_yardsticks(found, POLICY, horizon_days=100).usual_lately == pytest.approx(0.8)
    assert find_yardsticks(found.tail(2), POLICY, horizon_days=100).usual_lately == 0


def test_a_tier_changes_only_past_the_margin():
    """Near a bound the tier of a month ago stays; far from it, it changes, up and down alike."""
    yardsticks = Yardsticks(a=100.0, b=50.0, usual_probability=0.5, usual_pace=1.0)
    now = customers(95, 120, 65, 140, 40, 30, 10)
    before = now.select("account_id", pl.Series("tier", list("ABABBBA")))
    found = assign_tiers(now, yardsticks, POLICY, before=before)["tier"]
    assert "".join(found) == "ABBABCC"


@pytest.mark.parametrize(
    ("a", "values", "tiers"), [(100.0, (41, 39, 59, 61), "BCCB"), (9000.0, (38, 37, 62, 63), "BCCB")]
)
def test_both_bounds_have_the_same_margin_in_money(a, values, tiers):
    """B's bound is passed by as much money as A's, but never by more than a quarter of it."""
    yardsticks = Yardsticks(a=a, b=50.0, usual_probability=0.5, usual_pace=1.0)
    now = customers(*values)
    before = now.select("account_id", pl.Series("tier", list("BBCC")))
    assert "".join(assign_tiers(now, yardsticks, TierPolicy(margin=0.1), before=before)["tier"]) == tiers


def test_an_account_without_a_tier_gets_the_plain_one():
    """A new account is not held to what it never was."""
    yardsticks = Yardsticks(a=100.0, b=50.0, usual_probability=0.5, usual_pace=1.0)
    before = pl.DataFrame({"account_id": ["c0"], "tier": ["A"]})
    assert "".join(assign_tiers(customers(90, 90), yardsticks, POLICY, before=before)["tier"]) == "AB"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tenure_days": 20}, "new"),
        ({"recency_days": 90, "probability_active": 0.1}, "dormant"),
        ({"recency_days": 10, "probability_active": 0.1}, "steady"),
        ({"expected_revenue": 40.0}, "growing"),
        ({"expected_revenue": 10.0}, "declining"),
        ({}, "steady"),
    ],
)
def test_potentials(changes, expected):
    """New, dormant, growing, declining or steady: each against the company's own customers."""
    yardsticks = Yardsticks(a=1.0, b=1.0, usual_probability=0.5, usual_pace=1.0)
    one = customers(25).with_columns(*(pl.lit(value).alias(name) for name, value in changes.items()))
    assert one.select(potential(POLICY, yardsticks, horizon_days=100)).item() == expected
