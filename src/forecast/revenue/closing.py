"""By when open deals are won: hazards learnt from how deals stood at earlier moments, and what became of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from forecast.estimators.deal_clock import DealClock, fit_clock
from forecast.estimators.encoding import Encoding, fit_encoding
from forecast.estimators.win_curve import LOST, OPEN, WON, WinCurve, amount_weights, at_days, cut_time, fit_win_curve
from forecast.features import FeaturePlan, opportunity_features
from forecast.features.untold import without_untold
from forecast.metrics import Floats
from forecast.revenue.records import Sales, days_since
from forecast.snapshot import known_opportunities, take_snapshot
from forecast.snapshot.changes import as_known

PLAN = FeaturePlan()
LOOKS, LOOK_DAYS_MIN, LOOK_DAYS_MAX = 18, 7.0, 30.0
ROWS_MAX = 8_000
# Fewer ends than this tell no more than how often deals end, and how often they are won.
ENDS_MIN = 60
PRIOR_ENDS = 2.0
PRIOR_DAYS = 60.0


@dataclass(frozen=True, kw_only=True)
class ConstantHazard:
    """The same chance of ending every day, and of being won when it ends."""

    a_day: float
    won_share: float

    def won_by(self, count: int, days: Floats) -> Floats:
        """Give the probability of so many deals of being won by each day, deals × days."""
        return np.tile(self.won_share * (1 - np.exp(-self.a_day * days)), (count, 1))


@dataclass(frozen=True, kw_only=True)
class LearntHazard:
    """Hazards by what is known of a deal."""

    encoding: Encoding
    curve: WinCurve


def won_by_days(sales: Sales, days: Floats, *, horizon_days: float, seed: int) -> Floats:
    """Give the probability that each open deal is won within so many days, deals × days, never falling."""
    asked = sales.open_deals.select("opportunity_id", pl.lit(sales.as_of).cast(pl.Datetime("us", "UTC")).alias("as_of"))
    fitted = fit_hazard(sales, horizon_days=horizon_days, seed=seed)
    if isinstance(fitted, ConstantHazard):
        return fitted.won_by(asked.height, days)
    features = opportunity_features(take_snapshot(sales.history, asked), PLAN)
    won, _ = fitted.curve.ended(fitted.encoding.matrix(features))
    return at_days(np.clip(won, 0, 1), fitted.curve.edges_days, days)


def fit_hazard(sales: Sales, *, horizon_days: float, seed: int) -> LearntHazard | ConstantHazard:
    """Learn hazards from deals as they stood at earlier moments; of few ends, only how often deals end."""
    looks = _looks(sales)
    ends = looks.join(
        sales.deals.select("opportunity_id", "status", "closed_at", "amount"),
        on="opportunity_id",
        maintain_order="left",
    )
    took = days_since(ends["as_of"], sales.as_of) - np.nan_to_num(days_since(ends["closed_at"], sales.as_of))
    end = ends["status"].replace_strict({"open": OPEN, "won": WON, "lost": LOST}).cast(pl.Int64).to_numpy()
    if ends.filter(pl.col("status") != "open")["opportunity_id"].n_unique() < ENDS_MIN:
        return _constant(sales)
    features = opportunity_features(take_snapshot(sales.history, looks), PLAN)
    features = without_untold(features, ends["status"] != "open")
    encoding = fit_encoding(features)
    curve = fit_win_curve(
        encoding.matrix(features),
        took,
        end,
        edges_days=cut_time(took, end, horizon_days),
        category_positions=encoding.category_positions,
        seed=seed,
        weights=amount_weights(ends["amount"]),
        clock=_clock(sales, encoding),
    )
    return LearntHazard(encoding=encoding, curve=curve)


def _clock(sales: Sales, encoding: Encoding) -> DealClock | None:
    """Fit the clock on each deal from its creation on, at the amount that it had first."""
    deals = _dated(sales)
    created = deals.select(pl.int_range(pl.len()).alias("row"), "opportunity_id", pl.col("created_at").alias("as_of"))
    amounts = sales.history.opportunities.select("opportunity_id", "amount")
    first = as_known(created, amounts, sales.history.change_index, "opportunity_id")["amount"]
    ended = (deals["status"] != "open").to_numpy()
    return fit_clock(
        first.cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        _open_days(deals, sales.as_of),
        ended,
        columns=encoding.features,
    )


def _open_days(deals: pl.DataFrame, until: datetime) -> Floats:
    """Give how many days each deal was open, or has been."""
    return np.asarray(days_since(deals["created_at"], until) - np.nan_to_num(days_since(deals["closed_at"], until)))


def _dated(sales: Sales) -> pl.DataFrame:
    """Give the deals that are open, or of which one knows when they ended."""
    return sales.deals.filter((pl.col("status") == "open") | pl.col("closed_at").is_not_null())


def _looks(sales: Sales) -> pl.DataFrame:
    """List deals as they stood at earlier moments, as subjects; of very many a random part."""
    ages = days_since(sales.deals["created_at"], sales.as_of)
    every = float(np.clip(ages.max(initial=0.0) / LOOKS, LOOK_DAYS_MIN, LOOK_DAYS_MAX))
    moments = [sales.as_of - timedelta(days=every * turn) for turn in range(1, LOOKS + 1)]
    looks = pl.concat([_stood_open(sales, moment) for moment in moments])
    if looks.height > ROWS_MAX:
        looks = looks.sample(ROWS_MAX, seed=0)
    return looks.sort("as_of", "opportunity_id")


def _stood_open(sales: Sales, moment: datetime) -> pl.DataFrame:
    return known_opportunities(sales.history, moment).join(
        _dated(sales), on="opportunity_id", how="semi", maintain_order="left"
    )


def _constant(sales: Sales) -> ConstantHazard:
    """Shrink how often deals end to once in PRIOR_DAYS, and how often they are won to one half."""
    status = sales.deals["status"]
    ended, won = float((status != "open").sum()), float((status == "won").sum())
    return ConstantHazard(
        a_day=(ended + PRIOR_ENDS) / (float(_open_days(sales.deals, sales.as_of).sum()) + PRIOR_ENDS * PRIOR_DAYS),
        won_share=(won + PRIOR_ENDS / 2) / (ended + PRIOR_ENDS),
    )
