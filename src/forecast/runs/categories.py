"""Commit, best case and pipeline: what sellers say of open opportunities, or their probability where they say nothing."""

from types import MappingProxyType

import polars as pl

from forecast.revenue.cells import COMPANY, PERSON, TEAM
from forecast.runs.booked import unit_of

COMMIT, BEST_CASE, PIPELINE = "commit", "best_case", "pipeline"
CATEGORIES = (COMMIT, BEST_CASE, PIPELINE)
OMITTED = "omitted"
COMMIT_MIN, BEST_CASE_MIN = 0.75, 0.4
# Levels whose units deals name.
_LEVELS = (COMPANY, TEAM, PERSON)
_WORDS = MappingProxyType(
    {
        "commit": COMMIT, "committed": COMMIT, "forecast": COMMIT, "closed": COMMIT, "won": COMMIT, "承诺": COMMIT, "确保": COMMIT,
        "best case": BEST_CASE, "bestcase": BEST_CASE, "most likely": BEST_CASE, "probable": BEST_CASE, "upside": BEST_CASE,
        "最佳情况": BEST_CASE, "最佳": BEST_CASE, "争取": BEST_CASE, "很可能": BEST_CASE,
        "pipeline": PIPELINE, "渠道": PIPELINE, "管道": PIPELINE, "储备": PIPELINE,
        "omitted": OMITTED, "omit": OMITTED, "not forecasted": OMITTED, "忽略": OMITTED, "不预测": OMITTED,
    }
)  # fmt: skip


def said_category() -> pl.Expr:
    """Give what the seller says of a deal; missing where it is no known word."""
    said = pl.col("forecast_category").str.to_lowercase().str.replace_all("[_ -]+", " ").str.strip_chars()
    return said.replace_strict(dict(_WORDS), default=None, return_dtype=pl.String())


def category() -> pl.Expr:
    """Give the category of a deal: the seller's where it is a known word, else by the probability of being won.

    From COMMIT_MIN on it is commit, from BEST_CASE_MIN on best case, else, or without a probability, pipeline.
    """
    probability = pl.coalesce("win_probability", "seller_probability").fill_null(0)
    by_probability = (
        pl.when(probability >= COMMIT_MIN)
        .then(pl.lit(COMMIT))
        .when(probability >= BEST_CASE_MIN)
        .then(pl.lit(BEST_CASE))
        .otherwise(pl.lit(PIPELINE))
    )
    return said_category().fill_null(by_probability).alias("category")


def due_by_category(deals: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """Count open deals by category and period in which they are expected to close, for the company, teams and persons.

    Args:
        deals: as `runs.deals.DEAL_TYPES`, of one currency.
        periods: `level, unit_id, starts_on, ends_on` (inclusive); those of other levels are left out, as deals don't name them.

    Returns:
        The columns of `periods`, and `category, count, amount, weighted` (amount times probability, missing where one has an amount
        and no probability), a row for each of CATEGORIES.
    """
    keys = periods.select("level", "unit_id", "starts_on", "ends_on").filter(pl.col("level").is_in(_LEVELS))
    opened = deals.filter(pl.col("status") == "open").with_columns(category())
    counted = pl.concat([_due(opened.with_columns(unit_of(level)), keys.filter(level=level)) for level in _LEVELS])
    cells = keys.join(pl.DataFrame({"category": list(CATEGORIES)}), how="cross").join(
        counted, on=[*keys.columns, "category"], how="left", maintain_order="left"
    )
    weighted = pl.when(pl.col("count").is_null()).then(0.0).otherwise("weighted")
    return cells.with_columns(weighted.alias("weighted")).with_columns(pl.col("count", "amount").fill_null(0))


def deals_of_unit(deals: pl.DataFrame, level: str, unit_id: str) -> pl.DataFrame:
    """Give the deals of the company, a team or a person; none of another level, as deals don't name it."""
    return deals.filter(unit_of(level) == unit_id) if level in _LEVELS else deals.clear()


def _due(opened: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    due = periods.join(opened, on="unit_id").filter(
        pl.col("expected_close_on").is_between(pl.col("starts_on"), pl.col("ends_on"))
    )
    probability = pl.coalesce("win_probability", "seller_probability")
    known = (probability.is_not_null() | pl.col("amount").is_null()).all()
    weighted = pl.when(known).then((pl.col("amount") * probability).sum()).alias("weighted")
    return due.group_by(*periods.columns, "category").agg(
        pl.len().cast(pl.Int64).alias("count"), pl.col("amount").sum(), weighted
    )
