"""Sums over what happened strictly before a moment, for many moments at once."""

import polars as pl

TALLIED = ("closed_count", "won_count", "priced_count", "log_amount")


def tally_dated(rows: pl.DataFrame, closings: pl.DataFrame) -> pl.DataFrame:
    """Count and sum, for each row, the closings of its `key` before its `as_of`.

    Args:
        rows: `row, key, as_of`.
        closings: `key, closed_at` and TALLIED, those of one closing in each row.
    """
    running = (
        closings.filter(pl.col("closed_at").is_not_null())
        .sort("closed_at", "log_amount")
        .select("key", "closed_at", pl.col(TALLIED).cum_sum().over("key"))
    )
    return (
        _latest_before(rows, running, by=["key"], moment="closed_at").sort("row").select(pl.col(TALLIED).fill_null(0))
    )


def tally_undated(rows: pl.DataFrame, closings: pl.DataFrame) -> pl.DataFrame:
    """Count and sum closings without a moment, for each row all of its `key` but those of its own `fold`."""
    undated = closings.filter(pl.col("closed_at").is_null()).sort("log_amount")
    sums = pl.col(TALLIED).sum()
    whole = undated.group_by("key").agg(sums)
    own_tenth = undated.group_by("key", "fold").agg(sums)
    return (
        rows.join(whole, on="key", how="left", maintain_order="left")
        .join(own_tenth, on=["key", "fold"], how="left", suffix="_own", maintain_order="left")
        .select((pl.col(name).fill_null(0) - pl.col(f"{name}_own").fill_null(0)).alias(name) for name in TALLIED)
    )


def totals_before(rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Sum the events of each row's account before its `as_of`, without those of the row's own opportunity.

    Args:
        rows: `row, account_id, opportunity_id, as_of`.
        events: `account_id, opportunity_id, happened_at, count, amount`.

    Returns:
        `count, amount` (0 where nothing was) and `last_at`, rows in the order of `row`.
    """
    ordered = events.sort("happened_at", "opportunity_id", "amount", "count")
    every = _summed_before(rows, ordered, ["account_id"])
    own = _summed_before(rows, ordered.filter(pl.col("opportunity_id").is_not_null()), ["account_id", "opportunity_id"])
    return pl.DataFrame([every["count"] - own["count"], every["amount"] - own["amount"], every["last_at"]])


def _summed_before(rows: pl.DataFrame, ordered: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    running = ordered.select(
        *by,
        "happened_at",
        pl.col("happened_at").alias("last_at"),
        pl.col("count", "amount").cum_sum().over(by),
    )
    found = _latest_before(rows.select("row", "as_of", *by), running, by=by, moment="happened_at").sort("row")
    return found.select(pl.col("count", "amount").fill_null(0), "last_at")


def _latest_before(rows: pl.DataFrame, running: pl.DataFrame, *, by: list[str], moment: str) -> pl.DataFrame:
    return rows.sort("as_of").join_asof(
        running,
        left_on="as_of",
        right_on=moment,
        by=by,
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
