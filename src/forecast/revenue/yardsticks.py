"""What a revenue forecast must beat: the weighted pipeline that CRMs show, and the same month of last year."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.cells import COMPANY
from forecast.revenue.records import Months, Sales, days_since

STAGE_DEALS = 5.0
USUAL_DAYS = 60.0
HALF_DAY = timedelta(hours=12)
# Of a unit of which nothing has ended.
SHARE_UNKNOWN = 0.5


def weighted_pipeline(sales: Sales, months: Months) -> Floats:
    """Give the company's revenue by month as `weighted_pipelines` rolls it up."""
    return _of_company(weighted_pipelines(sales, months, [COMPANY]), months)


def seasonal_naive(sales: Sales, months: Months) -> Floats:
    """Give the company's revenue by month as `seasonal_naives` repeats it."""
    return _of_company(seasonal_naives(sales, months, [COMPANY]), months)


def booked_in(sales: Sales, months: Months) -> Floats:
    """Give what is booked in each month."""
    return _of_company(_booked(sales, COMPANY).rename({"amount": "value"}), months)


def _of_company(rows: pl.DataFrame, months: Months) -> Floats:
    asked = pl.DataFrame({"month": list(months.starts)}).join(rows, on="month", how="left", maintain_order="left")
    return asked["value"].fill_null(0).to_numpy()


def weighted_pipelines(sales: Sales, months: Months, levels: Sequence[str]) -> pl.DataFrame:
    """Give revenue by month as CRMs roll it up: booked already, and amount × probability at the close date.

    The probability is the seller's, else the share won of the unit's deals that ever were in the stage, else of all of the unit. A
    deal without an expected close date, or with one that is over, closes when the usual time from creation to winning is over, in
    this month at the earliest.

    Returns:
        `level, unit_id, month, value` of the units of some levels; a month without any has no row.
    """
    passed = _stages_passed(sales)
    return pl.concat([_weighted(sales, months, level, passed) for level in levels])


def _weighted(sales: Sales, months: Months, level: str, passed: pl.DataFrame) -> pl.DataFrame:
    deals = _with_stage(sales, level, passed)
    month = np.searchsorted(months.ends_days, _due_days(sales, deals, level), side="right")
    worth = deals.select("unit_id", (pl.col("amount").fill_null(0) * pl.col("probability")).alias("value"), place=month)
    starts = pl.DataFrame({"month": list(months.starts)}).with_row_index("place")
    due = worth.join(starts, on="place").select("unit_id", "month", "value")
    booked = _booked(sales, level).filter(pl.col("month") == months.starts[0]).rename({"amount": "value"})
    sums = pl.concat([due, booked]).group_by("unit_id", "month").agg(pl.col("value").sum())
    return sums.select(pl.lit(level).alias("level"), "unit_id", "month", "value")


def _unit(level: str) -> pl.Expr:
    return (pl.lit("") if level == COMPANY else pl.col(level)).alias("unit_id")


def _with_stage(sales: Sales, level: str, passed: pl.DataFrame) -> pl.DataFrame:
    tracked = sales.history.opportunities.select("opportunity_id", "stage", "expected_close_on", "seller_probability")
    every, by_stage = _shares_won(sales, level, passed)
    return (
        sales.open_deals.with_columns(_unit(level))
        .join(tracked, on="opportunity_id", how="left", maintain_order="left")
        .join(every, on="unit_id", how="left", maintain_order="left")
        .join(by_stage, on=["unit_id", "stage"], how="left", maintain_order="left")
        .with_columns(pl.coalesce("seller_probability", "share", "every", pl.lit(SHARE_UNKNOWN)).alias("probability"))
    )


def _stages_passed(sales: Sales) -> pl.DataFrame:
    """List `opportunity_id, stage` of deals that ended, each stage that one ever was in once."""
    ended = sales.deals.filter(pl.col("status") != "open").select("opportunity_id")
    moved = sales.history.changes.filter(pl.col("field") == "stage").rename({"record_id": "opportunity_id"})
    entered = moved.join(ended, on="opportunity_id", how="semi")
    both = [entered.select("opportunity_id", stage=name) for name in ("old_value", "new_value")]
    return pl.concat(both).drop_nulls().unique()


def _shares_won(sales: Sales, level: str, passed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the share won of each unit's deals that ended, and of those that ever were in each stage, shrunk to it."""
    ended = sales.deals.filter(pl.col("status") != "open").select(
        "opportunity_id", _unit(level), won=(pl.col("status") == "won").cast(pl.Float64)
    )
    every = ended.group_by("unit_id").agg(pl.col("won").mean().alias("every"))
    share = (pl.col("won").sum() + STAGE_DEALS * pl.col("every").first()) / (pl.len() + STAGE_DEALS)
    by_stage = passed.join(ended, on="opportunity_id").join(every, on="unit_id").group_by("unit_id", "stage")
    return every, by_stage.agg(share.alias("share"))


def _due_days(sales: Sales, deals: pl.DataFrame, level: str) -> Floats:
    noon = (deals["expected_close_on"].cast(pl.Datetime("us")) + HALF_DAY).dt.replace_time_zone(sales.timezone)
    due = -days_since(noon.dt.convert_time_zone("UTC"), sales.as_of)
    won = sales.deals.filter(pl.col("status") == "won").with_columns(_unit(level))
    took = days_since(won["created_at"], sales.as_of) - days_since(won["closed_at"], sales.as_of)
    usual = (
        won.select("unit_id", pl.Series("took", took).fill_nan(None))
        .group_by("unit_id")
        .agg(pl.col("took").median().alias("usual"))
    )
    known = deals.join(usual, on="unit_id", how="left", maintain_order="left")["usual"].fill_null(USUAL_DAYS)
    by_age = known.to_numpy() - days_since(deals["created_at"], sales.as_of)
    return np.maximum(np.where(due > -0.5, due, by_age), 0)


def seasonal_naives(sales: Sales, months: Months, levels: Sequence[str]) -> pl.DataFrame:
    """Give revenue of the same months of last year; where a unit's are not known, of the last whole month.

    The first month is at least what it holds already.

    Returns:
        `level, unit_id, month, value` of the units of some levels that booked anything.
    """
    return pl.concat([_repeated(sales, months, level) for level in levels])


def _repeated(sales: Sales, months: Months, level: str) -> pl.DataFrame:
    booked, start = _booked(sales, level), months.starts[0]
    asked = pl.DataFrame({"month": list(months.starts)}).with_columns(
        pl.col("month").dt.offset_by("-12mo").alias("before"), pl.lit(start).dt.offset_by("-1mo").alias("last_whole")
    )
    firsts = booked.group_by("unit_id").agg(pl.col("month").min().alias("first"))
    is_known = (pl.col("first") < pl.col("before")) & (pl.col("before") < start)
    said = (
        firsts.join(asked, how="cross")
        .with_columns(pl.when(is_known).then("before").otherwise("last_whole").alias("like"))
        .join(booked.rename({"month": "like", "amount": "value"}), on=["unit_id", "like"], how="left")
        .join(booked.filter(pl.col("month") == start), on=["unit_id", "month"], how="left")
    )
    least = pl.max_horizontal(pl.col("value").fill_null(0), "amount")
    return said.select(
        pl.lit(level).alias("level"),
        "unit_id",
        "month",
        pl.when(pl.col("month") == start).then(least).otherwise(pl.col("value").fill_null(0)),
    )


def _booked(sales: Sales, level: str) -> pl.DataFrame:
    """Add bookings up: `unit_id, month, amount`."""
    local = pl.col("booked_at").dt.convert_time_zone(sales.timezone).dt.date().dt.truncate("1mo")
    return sales.booked.group_by(_unit(level), local.alias("month")).agg(pl.col("amount").sum())
