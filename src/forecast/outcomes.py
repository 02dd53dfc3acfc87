"""What happened after a moment, and what is not known yet; for training and for measuring accuracy only."""

from datetime import datetime, timedelta

import polars as pl

from forecast.snapshot import History

WEIGHT_LIMIT = 10.0


def opportunity_outcomes(history: History, subjects: pl.DataFrame) -> pl.DataFrame:
    """Join to each subject what became of its opportunity.

    Returns:
        The subjects in their order with `won` (1, 0; missing while unknown), `known_at` (moment from which the outcome
        was known; for one that closed at an unknown moment, its creation; missing without any date), `closed_at` and
        `created_at`.
    """
    created = history.opportunities.select("opportunity_id", "created_at")
    return (
        subjects.join(history.closings, on="opportunity_id", how="left", maintain_order="left")
        .join(created, on="opportunity_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("status") != "open").then(pl.col("status").eq("won").cast(pl.Int64)).alias("won"),
            pl.when(pl.col("status") != "open").then(pl.coalesce("closed_at", "created_at")).alias("known_at"),
        )
        .drop("status", "won_amount")
    )


def censoring_weights(as_of: pl.Series, known_at: pl.Series, until: datetime) -> pl.Series:
    """Weight each row whose outcome was known before `until` by one over the chance of that.

    Young opportunities that are closed already are the quick ones; without weights they stand for all. The chance that
    an outcome which took a time d is seen is the share of rows that were at least d old at `until` (Kaplan-Meier of a
    censoring that depends on the calendar only; Robins and Finkelstein 2000, IPCW).

    Args:
        as_of: moment of every row that existed before `until`, those still open included.
        known_at: moment of each row's outcome; missing or at or after `until` for one not known.

    Returns:
        Weights from 1 to WEIGHT_LIMIT, 0 where the outcome was not known; 1 for rows without a moment, unless their
        outcome became known at or after `until`.
    """
    rows = pl.DataFrame({"as_of": as_of, "known_at": known_at}).with_row_index("row")
    rows = rows.with_columns(
        (pl.lit(until).cast(pl.Datetime("us", "UTC")) - pl.col("as_of")).alias("watched"),
        (pl.col("known_at") - pl.col("as_of")).alias("took"),
    )
    watched = rows.filter(pl.col("watched").is_not_null()).select("watched").sort("watched")
    older = (
        watched.with_columns((1 - pl.int_range(pl.len()) / pl.len()).alias("seen_share"))
        .group_by("watched")
        .agg(pl.col("seen_share").max())
    )
    weighted = (
        rows.sort("took", nulls_last=True)
        .join_asof(
            older.sort("watched"),
            left_on="took",
            right_on="watched",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("row")
    )
    known = pl.col("known_at") < until
    return weighted.select(
        pl.when(known & pl.col("took").is_not_null())
        .then((1 / pl.col("seen_share")).fill_null(WEIGHT_LIMIT).clip(1, WEIGHT_LIMIT))
        .when(known | (pl.col("as_of").is_null() & pl.col("known_at").is_null()))
        .then(1.0)
        .otherwise(0.0)
        .alias("weight")
    ).to_series()


def maturity(created_at: pl.Series, known_at: pl.Series, won: pl.Series) -> timedelta:
    """Give how old an opportunity must be for its outcome to be fair: for half the wins and half the losses to have come.

    Of younger ones only the quicker of the two outcomes shows, whatever the weights. One row an opportunity; those
    without both moments or an outcome are passed over.
    """
    took = pl.DataFrame({"took": known_at - created_at, "won": won}).drop_nulls()
    medians = took.group_by("won").agg(pl.col("took").median())["took"]
    longest = medians.max()
    return longest if isinstance(longest, timedelta) else timedelta(0)
