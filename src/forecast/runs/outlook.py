"""A kept forecast as a manager reads it: months and longer periods, cases, and the open deals behind them by category."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from forecast.revenue.cells import BOUNDS, LEVELS
from forecast.revenue.questions import MONTHS_IN, Period, period_totals
from forecast.runs.categories import CATEGORIES, due_by_category
from forecast.runs.keeping import Run

DRAWS = pl.List(pl.Float32())
COUNTED = ("count", "amount", "weighted")
_KEYS = ("level", "unit_id", "starts_on", "ends_on")
_PARTS = ("won", "open", "new", "series", "mean", *BOUNDS)


def outlook_rows(cells: pl.DataFrame, deals: pl.DataFrame, longer: Sequence[Period]) -> pl.DataFrame:
    """Give a row a unit and period: the months ahead, and the longer periods whose last month is forecast.

    Args:
        cells: as `runs.read_cells` gives them, with the months before, which count in longer periods as they were.
        deals: as `runs.deals.DEAL_TYPES`, of the currency of the cells.
        longer: quarter, year or both.

    Returns:
        `level, unit_id, unit_name, period, starts_on, ends_on` (the last day), `won, open, new, series, mean`, the ranges,
        `likely` (the median; worst and best case are `lo-80` and `hi-80`), `draws`, and of the company, teams and persons what
        is expected to close in the period: `commit_count, commit_amount, commit_weighted, best_case_count, …`. By level in the
        order of LEVELS, unit, period and day.
    """
    ahead = pl.col("draws").list.len() > 0
    end = pl.col("month").dt.month_end()
    months = cells.filter(ahead).with_columns(pl.col("month").alias("starts_on"), end.alias("ends_on"))
    first, last = months["starts_on"].min(), months["ends_on"].max()
    reached = pl.col("ends_on").is_between(first, last)
    parts = [("month", months), *((name, period_totals(cells, name).filter(reached)) for name in longer)]
    rows = pl.concat([_plain(part, period) for period, part in parts])
    order = (
        pl.col("level").cast(pl.Enum(LEVELS)),
        "unit_id",
        pl.col("period").cast(pl.Enum([name for name, _ in parts])),
    )
    return rows.join(_wide(due_by_category(deals, rows)), on=_KEYS, how="left").sort(*order, "starts_on")


def _plain(rows: pl.DataFrame, period: str) -> pl.DataFrame:
    return rows.select(
        "level",
        "unit_id",
        "unit_name",
        pl.lit(period).alias("period"),
        "starts_on",
        "ends_on",
        *_PARTS,
        pl.col("draws").cast(DRAWS).list.median().cast(pl.Float64).alias("likely"),
        pl.col("draws").cast(DRAWS),
    )


def _wide(counted: pl.DataFrame) -> pl.DataFrame:
    """Put the categories of a unit and period side by side."""
    of = (
        pl.col(name).filter(category=category).first().alias(f"{category}_{name}")
        for category in CATEGORIES
        for name in COUNTED
    )
    return counted.group_by(_KEYS, maintain_order=True).agg(*of)


def say_cut_off(run: Run, months: pl.Series, horizon: int | None, period: Period) -> list[str]:
    """Say by how much a forecast of some months is shorter than so many periods from the present one on, if it is."""
    first, last = months.min(), months.max()
    if horizon is None or not isinstance(first, date) or not isinstance(last, date):
        return []
    asked = horizon * MONTHS_IN[period] - (first.month - 1) % MONTHS_IN[period]
    kept = (last.year - first.year) * 12 + last.month - first.month + 1
    if asked <= kept:
        return []
    sentence = (
        f"{asked} months ahead were asked for, and forecast {run.id} has {kept}, to {last:%Y-%m}: "
        f"`forecast outlook --horizon {asked}` makes and keeps a longer one"
    )
    return [sentence]
