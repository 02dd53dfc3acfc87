"""Questions to a revenue forecast: totals over months, chances, shortfalls, cases."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.cells import BOUNDS

Period = Literal["month", "quarter", "year"]
MONTHS_IN: MappingProxyType[Period, int] = MappingProxyType({"month": 1, "quarter": 3, "year": 12})
WORST, LIKELY, BEST = 0.1, 0.5, 0.9
_EVERY: MappingProxyType[Period, str] = MappingProxyType({"month": "1mo", "quarter": "1q", "year": "1y"})
_ADDED = ("won", "open", "new", "mean")


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Totals that one future in ten falls short of (`worst`), one in two (`likely`), and nine in ten (`best`)."""

    worst: float
    likely: float
    best: float


def period_totals(cells: pl.DataFrame, period: Period) -> pl.DataFrame:
    """Add months up to calendar months, quarters or years, future by future.

    Args:
        cells: as `revenue.cells.CELL_TYPES`, by level, unit and month; a row without draws is known to be its `won`.
        period: to add up to.

    Returns:
        A row a level, unit and period: `level, unit_id, unit_name, starts_on, ends_on` (the last day), `months` (how many of the
        period there are cells of), `won, open, new, series` (missing where that of a month is), `mean`, its ranges, `draws`.
    """
    if cells.is_empty():
        return _summed(cells, period)
    sums = _summed(cells, period)
    ends = sums["months"].cum_sum().to_numpy()
    draws = np.add.reduceat(draws_or_known(cells), np.concatenate([[0], ends[:-1]]), axis=0)
    bounds = np.quantile(draws, list(BOUNDS.values()), axis=1)
    return sums.with_columns(
        *(pl.Series(name, values) for name, values in zip(BOUNDS, bounds, strict=True)),
        pl.Series("draws", list(draws.astype(np.float32)), dtype=pl.List(pl.Float32)),
    )


def _summed(cells: pl.DataFrame, period: Period) -> pl.DataFrame:
    every = _EVERY[period]
    return (
        cells.group_by("level", "unit_id", pl.col("month").dt.truncate(every).alias("starts_on"), maintain_order=True)
        .agg(
            pl.col("unit_name").last(),
            pl.len().cast(pl.Int64).alias("months"),
            pl.col(*_ADDED).sum(),
            pl.when(pl.col("series").is_not_null().all()).then(pl.col("series").sum()).alias("series"),
        )
        .with_columns(pl.col("starts_on").dt.offset_by(every).dt.offset_by("-1d").alias("ends_on"))
        .select(
            "level", "unit_id", "unit_name", "starts_on", "ends_on", "months", "won", "open", "new", "series", "mean"
        )
    )


def draws_or_known(cells: pl.DataFrame) -> Floats:
    """Give the draws of cells, cells × draws; each draw of a row without draws is what was won."""
    count = max([1, *cells["draws"].list.len()])
    known = pl.col("won").cast(pl.Float32).repeat_by(count)
    filled = cells.select(pl.when(pl.col("draws").list.len() > 0).then("draws").otherwise(known).alias("draws"))
    return filled["draws"].explode().to_numpy().reshape(cells.height, count).astype(np.float64)


def chance_of_reaching(draws: Floats, amount: float) -> float:
    """Give the share of futures in which a total reaches an amount."""
    return float(np.mean(draws >= amount))


def expected_shortfall(draws: Floats, amount: float) -> float:
    """Give by how much a total falls short of an amount on average, futures that reach it counting as zero."""
    return float(np.mean(np.maximum(amount - draws, 0)))


def cases(draws: Floats) -> Cases:
    """Give the worst, likely and best case."""
    worst, likely, best = np.quantile(draws, [WORST, LIKELY, BEST])
    return Cases(worst=float(worst), likely=float(likely), best=float(best))
