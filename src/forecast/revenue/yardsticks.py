"""What a revenue forecast must beat: the weighted pipeline that CRMs show, and the same month of last year."""

from datetime import timedelta

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.records import Months, Sales, days_since

STAGE_DEALS = 5.0
USUAL_DAYS = 60.0
HALF_DAY = timedelta(hours=12)


def weighted_pipeline(sales: Sales, months: Months) -> Floats:
    """Give the company's revenue by month as CRMs roll it up: booked already, and amount × probability at the close date.

    The probability is the seller's, else the share won of deals that ever were in the stage, else of all. A deal without an expected
    close date, or with one that is over, closes when the usual time from creation to winning is over, in this month at the
    earliest.
    """
    deals = _with_stage(sales)
    worth = (deals["amount"].fill_null(0) * deals["probability"]).to_numpy()
    due = _due_days(sales, deals)
    month = np.searchsorted(months.ends_days, due, side="right")
    found = np.bincount(month, worth, minlength=len(months.starts) + 1)[: len(months.starts)]
    found[0] += booked_in(sales, months)[0]
    return np.asarray(found)


def _with_stage(sales: Sales) -> pl.DataFrame:
    tracked = sales.history.opportunities.select("opportunity_id", "stage", "expected_close_on", "seller_probability")
    every, by_stage = _share_won(sales)
    return (
        sales.open_deals.join(tracked, on="opportunity_id", how="left", maintain_order="left")
        .join(by_stage, on="stage", how="left", maintain_order="left")
        .with_columns(pl.coalesce("seller_probability", "share").fill_null(every).alias("probability"))
    )


def _share_won(sales: Sales) -> tuple[float, pl.DataFrame]:
    """Give the share won of deals that ended, and of those that ever were in each stage, shrunk to it."""
    ended = sales.deals.filter(pl.col("status") != "open").select("opportunity_id", pl.col("status") == "won")
    every = int(ended["status"].sum()) / ended.height if ended.height else 0.5
    entered = sales.history.changes.filter(pl.col("field") == "stage")
    passed = (
        pl.concat([entered.select("record_id", stage=name) for name in ("old_value", "new_value")])
        .drop_nulls()
        .unique()
        .join(ended, left_on="record_id", right_on="opportunity_id")
    )
    share = (pl.col("status").sum() + STAGE_DEALS * every) / (pl.len() + STAGE_DEALS)
    return every, passed.group_by("stage").agg(share.alias("share"))


def _due_days(sales: Sales, deals: pl.DataFrame) -> Floats:
    noon = (deals["expected_close_on"].cast(pl.Datetime("us")) + HALF_DAY).dt.replace_time_zone(sales.timezone)
    due = -days_since(noon.dt.convert_time_zone("UTC"), sales.as_of)
    won = sales.deals.filter(pl.col("status") == "won")
    took = days_since(won["created_at"], sales.as_of) - days_since(won["closed_at"], sales.as_of)
    usual = float(np.nanmedian(took)) if np.isfinite(took).any() else USUAL_DAYS
    by_age = usual - days_since(deals["created_at"], sales.as_of)
    return np.maximum(np.where(due > -0.5, due, by_age), 0)


def seasonal_naive(sales: Sales, months: Months) -> Floats:
    """Give the company's revenue of the same months of last year; where they are not known, the last whole month's.

    The first month is at least what it holds already.
    """
    local = sales.booked["booked_at"].dt.convert_time_zone(sales.timezone).dt.date().dt.truncate("1mo")
    sums = dict(
        sales.booked.with_columns(local.alias("month")).group_by("month").agg(pl.col("amount").sum()).iter_rows()
    )
    first, start = min(sums), months.starts[0]
    last_whole = pl.select(pl.lit(start).dt.offset_by("-1mo")).item()
    year_before = [day.replace(year=day.year - 1) for day in months.starts]
    found = [sums.get(day if first < day < start else last_whole, 0.0) for day in year_before]
    found[0] = max(found[0], booked_in(sales, months)[0])
    return np.array(found)


def booked_in(sales: Sales, months: Months) -> Floats:
    """Give what is booked in each month."""
    local = sales.booked["booked_at"].dt.convert_time_zone(sales.timezone).dt.date().dt.truncate("1mo")
    sums = sales.booked.with_columns(local.alias("month")).group_by("month").agg(pl.col("amount").sum())
    asked = pl.DataFrame({"month": list(months.starts)}).join(sums, on="month", how="left", maintain_order="left")
    return asked["amount"].fill_null(0).to_numpy()
