"""Tiers A, B and C by predicted value, held against flapping, and the potential of each customer."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

Tier = Literal["A", "B", "C"]
Potential = Literal["growing", "steady", "declining", "dormant", "new"]

TIERS: tuple[Tier, ...] = ("A", "B", "C")
POTENTIALS: tuple[Potential, ...] = ("growing", "steady", "declining", "dormant", "new")


@dataclass(frozen=True, kw_only=True)
class TierPolicy:
    """How tiers and potentials are decided.

    Attributes:
        a_share, b_share: A are the largest accounts that carry this share of predicted revenue, B those up to the second.
        margin: how far past a bound a customer's value must be before its tier changes, as a share of the bound.
        memory_months: how many earlier months' tiers are held on to.
        new_days: a customer is new for so long after the first purchase.
        growing_from, declining_below: expected revenue a day, as a multiple of the customer's own so far.
        dormant_below: probability of buying, as a multiple of the average customer's, of one that was silent for half a
            horizon.
    """

    a_share: float = 0.5
    b_share: float = 0.8
    margin: float = 0.3
    memory_months: int = 3
    new_days: int = 60
    growing_from: float = 1.2
    declining_below: float = 0.8
    dormant_below: float = 0.5

    def to_json(self) -> dict[str, Any]:
        """Give the policy as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TierBounds:
    """Least expected revenue of tiers A and B."""

    a: float
    b: float


def tier_bounds(expected_revenue: pl.Series, policy: TierPolicy) -> TierBounds:
    """Find the values at which the largest accounts carry the policy's shares of expected revenue."""
    ordered = expected_revenue.sort(descending=True)
    before = ordered.cum_sum().shift(1, fill_value=0.0)
    total = float(ordered.sum())
    a, b = (
        min(ordered.filter(before < share * total).to_list(), default=0.0) for share in (policy.a_share, policy.b_share)
    )
    return TierBounds(a=a, b=b)


def assign_tiers(values: pl.DataFrame, policy: TierPolicy, *, before: pl.DataFrame | None = None) -> pl.DataFrame:
    """Give `account_id, tier` of each row of `account_id, expected_revenue`, in their order.

    Args:
        values: what is expected of each account now.
        policy: shares and margin.
        before: the tiers a while ago; an account keeps its tier while its value is within the margin of its bound.
    """
    bounds = tier_bounds(values["expected_revenue"], policy)
    value, room = pl.col("expected_revenue"), 1 + policy.margin
    plain = _tier(value, bounds)
    if before is None:
        return values.select("account_id", plain.alias("tier"))
    known = before.select("account_id", pl.col("tier").alias("held"))
    rank = {"A": 0, "B": 1, "C": 2}
    held, up, down = (
        pl.col("held").replace_strict(rank, default=None),
        _tier(value / room, bounds),
        _tier(value * room, bounds),
    )
    best, worst = (reached.replace_strict(rank) for reached in (down, up))
    kept = pl.max_horizontal(best, pl.min_horizontal(held, worst))
    tier = pl.when(held.is_null()).then(plain).otherwise(kept.replace_strict({0: "A", 1: "B", 2: "C"}, default=None))
    joined = values.join(known, on="account_id", how="left", maintain_order="left")
    return joined.select("account_id", tier.alias("tier"))


def _tier(value: pl.Expr, bounds: TierBounds) -> pl.Expr:
    return pl.when(value >= bounds.a).then(pl.lit("A")).when(value >= bounds.b).then(pl.lit("B")).otherwise(pl.lit("C"))


def potential(policy: TierPolicy, *, horizon_days: int, usual_probability: float) -> pl.Expr:
    """Give the potential from `tenure_days, recency_days, spent, probability_active` and `expected_revenue`."""
    so_far = pl.col("spent") / pl.max_horizontal(pl.col("tenure_days") + 1, horizon_days)
    pace = pl.col("expected_revenue") / horizon_days / so_far
    silent = pl.col("recency_days") > horizon_days / 2
    unlikely = pl.col("probability_active") < policy.dormant_below * usual_probability
    return (
        pl.when(pl.col("tenure_days") < policy.new_days)
        .then(pl.lit("new"))
        .when(silent & unlikely)
        .then(pl.lit("dormant"))
        .when(pace >= policy.growing_from)
        .then(pl.lit("growing"))
        .when(pace < policy.declining_below)
        .then(pl.lit("declining"))
        .otherwise(pl.lit("steady"))
    )
