"""Quotas of the sellers and their teams, by quarter."""

import numpy as np
import polars as pl

from forecast.demo.columns import Floats, Ints, days, ids, moments
from forecast.demo.market import CURRENCY, SELLERS_A_TEAM, Market
from forecast.demo.workdays import GROWTH_A_YEAR, HISTORY_DAYS, Workdays

_AMBITION = 1.05
_SECONDS_A_DAY = 86_400
_QUARTERS_A_YEAR = 4


def set_quotas(orders: pl.DataFrame, *, market: Market, workdays: Workdays) -> pl.DataFrame:
    """Set the quota of each seller and team for each quarter of the history.

    A seller's is the usual sales of a quarter, along the company's growth and a bit more; a team's is the sum of its
    sellers'.
    """
    starts = np.arange(_quarter(workdays.start_day), _quarter((workdays.until_seconds - 1) // _SECONDS_A_DAY) + 1)
    years = (starts - starts.mean()) / _QUARTERS_A_YEAR
    sold = market.people.select("id", "team_id").join(
        orders.group_by(pl.col("owner_id").alias("id")).agg(pl.col("amount").sum()),
        on="id",
        how="left",
        maintain_order="left",
    )
    usual = sold["amount"].fill_null(0).to_numpy() / (HISTORY_DAYS / 365.25 * _QUARTERS_A_YEAR)
    amounts = np.round(usual[:, None] * _AMBITION * GROWTH_A_YEAR**years, -4)
    by_team = amounts.reshape(-1, SELLERS_A_TEAM, len(starts)).sum(axis=1)
    quotas = pl.concat(
        [
            _quota_rows(market.people["id"], starts, amounts).rename({"holder": "person_id"}),
            _quota_rows(market.teams["id"], starts, by_team).rename({"holder": "team_id"}),
        ],
        how="diagonal",
    )
    return quotas.select(
        ids("Q", np.arange(quotas.height), digits=4),
        "created_at",
        "person_id",
        "team_id",
        "starts_on",
        "ends_on",
        pl.lit("revenue").alias("metric"),
        "amount",
        pl.lit(CURRENCY).alias("currency"),
    )


def _quarter(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64)) // 3


def _quota_rows(holders: pl.Series, quarters: Ints, amounts: Floats) -> pl.DataFrame:
    first_days = (np.tile(quarters, len(holders)) * 3).astype("datetime64[M]")
    starts = first_days.astype("datetime64[D]").astype(np.int64)
    ends = (first_days + 3).astype("datetime64[D]").astype(np.int64) - 1
    return pl.DataFrame(
        {
            "holder": holders.gather(np.repeat(np.arange(len(holders)), len(quarters))),
            "created_at": moments((starts - 14) * _SECONDS_A_DAY),
            "starts_on": days(starts),
            "ends_on": days(ends),
            "amount": amounts.ravel(),
        }
    )
