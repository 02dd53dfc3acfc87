"""Whom to call: accounts that may leave, that fell silent again, or that are past their usual next order."""

from collections.abc import Collection
from typing import Literal

import polars as pl

from forecast.accounts.tiers import TierPolicy, Yardsticks, bought_lately

AlertKind = Literal["churn_risk", "dormant_again", "overdue"]

ALERT_KINDS: tuple[AlertKind, ...] = ("churn_risk", "dormant_again", "overdue")
PURCHASES_FOR_RHYTHM = 3
ALERT = pl.Struct({"kind": pl.String(), "value": pl.Float64(), "usual": pl.Float64()})


def alert_population(kind: AlertKind, *, horizon_days: int) -> pl.Expr:
    """Tell which customers an alert may concern, from `purchase_days, recency_days` and `gap_max_days`.

    Churn: those who bought more than once, the last time within half a horizon. Dormant again: those who came back from
    a silence of more than half a horizon. Overdue: those whose rhythm is known.
    """
    who = {
        "churn_risk": bought_lately(horizon_days),
        "dormant_again": pl.col("gap_max_days").fill_null(0) > horizon_days / 2,
        "overdue": pl.col("purchase_days") >= PURCHASES_FOR_RHYTHM,
    }
    return who[kind]


def find_alerts(
    customers: pl.DataFrame,
    yardsticks: Yardsticks,
    policy: TierPolicy,
    *,
    horizon_days: int,
    kinds: Collection[str],
) -> pl.Series:
    """Give the alerts of each customer, a list of {kind, value, usual}.

    An alert of silence ends a horizon after the silence passed what is usual: whoever is silent for longer is no news.

    Args:
        customers: `purchase_days, recency_days, gap_max_days, latest_gap_days, probability_active, tier, potential,
            overdue`, one row each.
        yardsticks: with the usual probability of buying of those who bought lately.
        policy: with `churn_below`.
        horizon_days: of the probabilities.
        kinds: that may be given, as they proved better than what is simple.

    Returns:
        Values and what is usual: of churn the probability of buying, of customers fallen silent again the days since the
        last order and the longest silence before, of overdue ones the days since the last order and until which one
        would have been usual.
    """
    days, probability = pl.col("recency_days"), pl.col("probability_active")
    usual, longest, latest = pl.lit(yardsticks.usual_lately), pl.col("gap_max_days"), pl.col("latest_gap_days")
    unlikely = probability < policy.churn_below * usual
    found = {
        "churn_risk": (unlikely & pl.col("tier").is_in(["A", "B"]), probability, usual),
        "dormant_again": ((pl.col("potential") == "dormant") & (days <= longest + horizon_days), days, longest),
        "overdue": (pl.col("overdue") & (days <= latest + horizon_days), days, latest),
    }
    given = [
        pl.when(alert_population(kind, horizon_days=horizon_days) & when).then(
            pl.struct(kind=pl.lit(kind), value=value.cast(pl.Float64), usual=usual.cast(pl.Float64))
        )
        for kind, (when, value, usual) in zip(ALERT_KINDS, found.values(), strict=True)
        if kind in kinds
    ]
    if not given:
        return pl.Series("alerts", [[]], dtype=pl.List(ALERT)).new_from_index(0, customers.height)
    return customers.select(pl.concat_list(given).list.drop_nulls().cast(pl.List(ALERT)).alias("alerts")).to_series()
