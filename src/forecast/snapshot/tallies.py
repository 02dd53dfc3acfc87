"""Sums over what happened strictly before a moment, for many moments at once."""

import polars as pl

TALLIED = ("closed_count", "won_count", "priced_count", "log_amount")


def tally_dated(rows: pl.DataFrame, closings: pl.DataFrame) -> pl.DataFrame:
    """Count and sum, for each row, the closings of its `key` before its `as_of`.

    Args:
        rows: `row, key, as_of`.
        closings: `key, closed_at` and TALLIED, those of one closing in each row.
    """
    return sums_before(rows, closings.filter(pl.col("closed_at").is_not_null()), TALLIED)


def sums_before(rows: pl.DataFrame, closings: pl.DataFrame, summed: tuple[str, ...]) -> pl.DataFrame:
    """Sum these columns, for each row, over what closed with its `key` before its `as_of`; 0 where nothing did.

    Args:
        rows: `row, key, as_of`.
        closings: `key, closed_at` and the columns, of which all but the last are whole numbers.
        summed: the columns.
    """
    running = closings.sort("closed_at", summed[-1]).select("key", "closed_at", pl.col(summed).cum_sum().over("key"))
    return _latest_before(rows, running, by=["key"], moment="closed_at").sort("row").select(pl.col(summed).fill_null(0))


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
    every, own = _of_accounts(rows, ordered), _of_own_opportunities(rows, ordered)
    return pl.DataFrame([every["count"] - own["count"], every["amount"] - own["amount"], every["last_at"]])


def _of_accounts(rows: pl.DataFrame, ordered: pl.DataFrame) -> pl.DataFrame:
    running = ordered.select(
        "account_id",
        "happened_at",
        pl.col("happened_at").alias("last_at"),
        pl.col("count", "amount").cum_sum().over("account_id"),
    )
    asked = rows.select("row", "account_id", "as_of")
    found = _latest_before(asked, running, by=["account_id"], moment="happened_at").sort("row")
    return found.select(pl.col("count", "amount").fill_null(0), "last_at")


def _of_own_opportunities(rows: pl.DataFrame, ordered: pl.DataFrame) -> pl.DataFrame:
    """Sum by a join rather than running totals: opportunities are many, and each has a few events only."""
    asked = rows.select("row", "account_id", "opportunity_id", "as_of")
    sums = (
        asked.join(ordered, on=["opportunity_id", "account_id"], maintain_order="left_right")
        .filter(pl.col("happened_at") < pl.col("as_of"))
        .group_by("row")
        .agg(pl.col("count", "amount").sum())
    )
    joined = asked.select("row").join(sums, on="row", how="left", maintain_order="left")
    return joined.select(pl.col("count", "amount").fill_null(0))


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
