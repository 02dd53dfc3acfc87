"""Tiers A, B and C by predicted value, held against flapping, and the potential of each customer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

Tier = Literal["A", "B", "C"]
Potential = Literal["growing", "steady", "declining", "dormant", "new", "prospect"]

TIERS: tuple[Tier, ...] = ("A", "B", "C")
POTENTIALS: tuple[Potential, ...] = ("growing", "steady", "declining", "dormant", "new", "prospect")
LOWER_MARGIN_MAX = 0.25
"""At B's bound: where a few accounts carry most, a margin in their money would hold everyone else where they are."""


@dataclass(frozen=True, kw_only=True)
class TierPolicy:
    """How tiers and potentials are decided.

    Attributes:
        a_share, b_share: A are the largest accounts that carry this share of predicted revenue, B those up to the second.
        margin: how far past a bound a customer's value must be before its tier changes, as a share of A's bound. It is as
            much money at B's bound, as money is what a wrong tier costs, but at most LOWER_MARGIN_MAX of that.
        memory_months: how many earlier months' tiers are held on to.
        new_days: a customer is new for so long after the first purchase.
        growing_from, declining_below: expected revenue a day as a multiple of the customer's own so far, against the
            same multiple of all customers together.
        dormant_below: probability of buying, as a multiple of the average customer's, of one that was silent for half a
            horizon.
        churn_below: probability of buying, as a multiple of what is usual among those who bought lately (`bought_lately`), of
            one who may leave all the same.
    """

    a_share: float = 0.5
    b_share: float = 0.8
    margin: float = 0.05
    memory_months: int = 6
    new_days: int = 60
    growing_from: float = 1.2
    declining_below: float = 0.8
    dormant_below: float = 0.5
    churn_below: float = 0.85

    def to_json(self) -> dict[str, Any]:
        """Give the policy as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Yardsticks:
    """What the company's customers are measured against.

    Attributes:
        a, b: least expected revenue of tiers A and B.
        usual_probability: mean probability of buying.
        usual_pace: expected revenue a day of all customers together, as a multiple of what they spent a day so far.
        usual_lately: mean probability of buying of those who bought lately; versions from before don't know it, and raise no
            alert by it.
    """

    a: float
    b: float
    usual_probability: float
    usual_pace: float
    usual_lately: float = 0.0

    def to_json(self) -> dict[str, float]:
        """Give the yardsticks as JSON values."""
        return asdict(self)


def find_yardsticks(customers: pl.DataFrame, policy: TierPolicy, *, horizon_days: int) -> Yardsticks:
    """Measure all customers, one row each.

    Args:
        customers: `expected_revenue, probability_active, spent, purchase_days, tenure_days, recency_days`.
        policy: with the shares of tiers.
        horizon_days: of what is expected.
    """
    ordered = customers["expected_revenue"].sort(descending=True)
    before = ordered.cum_sum().shift(1, fill_value=0.0)
    total = float(ordered.sum())
    a, b = (
        min(ordered.filter(before < share * total).to_list(), default=0.0) for share in (policy.a_share, policy.b_share)
    )
    so_far = float(customers.select(_spent_a_day(horizon_days).sum()).item())
    lately = customers.filter(bought_lately(horizon_days))["probability_active"]
    return Yardsticks(
        a=a,
        b=b,
        usual_probability=float(np.mean(customers["probability_active"].to_numpy())),
        usual_pace=total / horizon_days / so_far if so_far > 0 else 1.0,
        usual_lately=float(np.mean(lately.to_numpy())) if len(lately) else 0.0,
    )


def bought_lately(horizon_days: int) -> pl.Expr:
    """Tell who bought more than once, the last time within half a horizon, from `purchase_days` and `recency_days`."""
    return (pl.col("purchase_days") > 1) & (pl.col("recency_days") <= horizon_days / 2)


def assign_tiers(
    values: pl.DataFrame, yardsticks: Yardsticks, policy: TierPolicy, *, before: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Give `account_id, tier` of each row of `account_id, expected_revenue`, in their order.

    Args:
        values: what is expected of each account now.
        yardsticks: with the bounds.
        policy: with the margin.
        before: the tiers a while ago; an account keeps its tier while its value is within the margin of its bound.
    """
    value, bounds = pl.col("expected_revenue"), (yardsticks.a, yardsticks.b)
    plain = _rank(value, bounds)
    if before is None:
        return values.select("account_id", plain.replace_strict(_NAMES).alias("tier"))
    known = before.select("account_id", pl.col("tier").replace_strict(_RANKS).alias("held"))
    room = policy.margin * yardsticks.a
    rooms = (room, min(room, max(policy.margin, LOWER_MARGIN_MAX) * yardsticks.b))
    best, worst = (
        _rank(value, [bound + sign * room for bound, room in zip(bounds, rooms, strict=True)]) for sign in (-1, 1)
    )
    kept = pl.max_horizontal(best, pl.min_horizontal(pl.col("held"), worst))
    rank = pl.when(pl.col("held").is_null()).then(plain).otherwise(kept)
    joined = values.join(known, on="account_id", how="left", maintain_order="left")
    return joined.select("account_id", rank.replace_strict(_NAMES).alias("tier"))


_NAMES = dict(enumerate(TIERS))
_RANKS = {tier: rank for rank, tier in enumerate(TIERS)}


def _rank(value: pl.Expr, bounds: Sequence[float]) -> pl.Expr:
    return 2 - pl.sum_horizontal((value >= bound).cast(pl.Int64) for bound in bounds)


def _spent_a_day(horizon_days: int) -> pl.Expr:
    return pl.col("spent") / pl.max_horizontal(pl.col("tenure_days") + 1, horizon_days)


def potential(policy: TierPolicy, yardsticks: Yardsticks, *, horizon_days: int) -> pl.Expr:
    """Give the potential from `tenure_days, recency_days, spent, probability_active` and `expected_revenue`.

    Growing and declining compare with how all customers together develop, as most spend less after their first order.
    """
    pace = pl.col("expected_revenue") / horizon_days / _spent_a_day(horizon_days) / yardsticks.usual_pace
    silent = pl.col("recency_days") > horizon_days / 2
    unlikely = pl.col("probability_active") < policy.dormant_below * yardsticks.usual_probability
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
