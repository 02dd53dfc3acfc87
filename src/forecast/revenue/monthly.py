"""Booked revenue by month and person."""

from datetime import datetime

import polars as pl

NOBODY = "nobody"
NO_TEAM = "no team"


def monthly_revenue(booked: pl.DataFrame, people: pl.DataFrame, *, as_of: datetime, timezone: str) -> pl.DataFrame:
    """Give `unique_id, ds, y, team`: what each person booked each month, from the person's first to that of the moment.

    Args:
        booked: `owner_id, booked_at, amount`.
        people: `id, team_id`, the team as it is now.
    """
    month = pl.col("booked_at").dt.convert_time_zone(timezone).dt.date().dt.truncate("1mo")
    sums = (
        booked.group_by(pl.col("owner_id").fill_null(NOBODY).alias("unique_id"), month.alias("ds"))
        .agg(pl.col("amount").cast(pl.Float64).sum().alias("y"))
        .sort("unique_id", "ds")
    )
    last = pl.Series([as_of]).dt.convert_time_zone(timezone).dt.date().dt.truncate("1mo")[0]
    months = sums.group_by("unique_id", maintain_order=True).agg(
        pl.date_ranges(pl.col("ds").min(), pl.lit(last), interval="1mo").first().alias("ds")
    )
    teams = people.select(pl.col("id").alias("unique_id"), pl.col("team_id").alias("team"))
    return (
        months.explode("ds")
        .join(sums, on=["unique_id", "ds"], how="left", maintain_order="left")
        .join(teams, on="unique_id", how="left", maintain_order="left")
        .with_columns(pl.col("y").fill_null(0), pl.col("team").fill_null(NO_TEAM))
    )
