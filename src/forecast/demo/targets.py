"""Quotas of the sellers and their teams, by quarter."""

import numpy as np
import polars as pl

from forecast.demo.columns import SECONDS_A_DAY, Floats, Ints, days, ids, moments
from forecast.demo.market import CURRENCY, SELLERS_A_TEAM, Market
from forecast.demo.workdays import GROWTH_A_YEAR, Workdays

_AMBITION = 1.05
_QUARTERS_A_YEAR, _YEAR_DAYS = 4, 365
_SET_BEFORE_DAYS = 14


def set_quotas(orders: pl.DataFrame, *, market: Market, workdays: Workdays) -> pl.DataFrame:
    """Set the quota of each seller and team for each quarter from a year after the start on.

    It is set two weeks before the quarter begins: for a seller a quarter of the year's sales until then, along the company's growth
    and a bit more; for a team the sum of its sellers'.
    """
    starts = np.arange(
        _quarter(workdays.start_day + _YEAR_DAYS + _SET_BEFORE_DAYS) + 1,
        _quarter((workdays.until_seconds - 1) // SECONDS_A_DAY) + 1,
    )
    yearly = [
        _sold_in_year(orders, market.people["id"], first_day - _SET_BEFORE_DAYS) for first_day in _first_days(starts)
    ]
    amounts = np.round(np.transpose(yearly) / _QUARTERS_A_YEAR * _AMBITION * GROWTH_A_YEAR, -4)
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


def _sold_in_year(orders: pl.DataFrame, sellers: pl.Series, end_day: int) -> Floats:
    """Give what each seller sold in the year before a day."""
    until = moments(np.array([end_day - _YEAR_DAYS, end_day]) * SECONDS_A_DAY)
    sold = (
        orders.filter(pl.col("ordered_at").is_between(until[0], until[1], closed="left"))
        .group_by(pl.col("owner_id").alias("id"))
        .agg(pl.col("amount").sum())
    )
    of_all = sellers.to_frame("id").join(sold, on="id", how="left", maintain_order="left")
    return of_all["amount"].fill_null(0).to_numpy()


def _quarter(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64)) // 3


def _first_days(quarters: Ints) -> Ints:
    return (quarters * 3).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _quota_rows(holders: pl.Series, quarters: Ints, amounts: Floats) -> pl.DataFrame:
    starts, ends = (np.tile(_first_days(some), len(holders)) for some in (quarters, quarters + 1))
    return pl.DataFrame(
        {
            "holder": holders.gather(np.repeat(np.arange(len(holders)), len(quarters))),
            "created_at": moments((starts - _SET_BEFORE_DAYS) * SECONDS_A_DAY),
            "starts_on": days(starts),
            "ends_on": days(ends - 1),
            "amount": amounts.ravel(),
        }
    )
