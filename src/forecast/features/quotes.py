"""What was offered on an opportunity: its quotes and their discounts."""

import polars as pl

from forecast.features.durations import days
from forecast.snapshot import Snapshot


def quote_features(snapshot: Snapshot) -> pl.DataFrame:
    """Give the number of quotes, and how the last one stands to the opportunity; shares are missing where it has none."""
    last = (
        snapshot.quotes.sort("known_at", "amount", "discount_share")
        .group_by("row")
        .agg(
            pl.len().cast(pl.Float64).alias("quote_count"),
            pl.col("known_at").max(),
            pl.col("amount").last().alias("quoted"),
            pl.col("discount_share").last().alias("quote_discount_share"),
        )
    )
    return (
        snapshot.rows.select("row", "as_of", "amount")
        .join(last, on="row", how="left", maintain_order="left")
        .select(
            pl.col("quote_count").fill_null(0),
            days(pl.col("as_of") - pl.col("known_at")).alias("quote_silence_days"),
            (pl.col("quoted") / pl.col("amount").replace(0.0, None)).alias("quote_to_amount"),
            "quote_discount_share",
        )
    )
