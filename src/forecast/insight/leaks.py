"""Signs that a column knows the outcome: arithmetic on one column and what became of its rows."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.estimators.encoding import LEVEL_ROWS_MIN
from forecast.metrics import Floats, auc

AUC_SUSPICIOUS = 0.95
FILL_GAP_SUSPICIOUS = 0.5


def find_separation(column: pl.Series, won: Floats) -> float | None:
    """Give the AUC by which a column alone separates won from lost, where it is suspicious; None where it is not.

    Args:
        column: values of rows of a known outcome; text counts by its levels, and missing values count as such too.
        won: 1 or 0, same rows.
    """
    if column.null_count() == len(column) or len(np.unique(won)) < 2:
        return None
    tellers = [column, column.is_null()] if column.null_count() else [column]
    found = max(_separation(teller, won) for teller in tellers)
    return found if found > AUC_SUSPICIOUS else None


def _separation(column: pl.Series, won: Floats) -> float:
    values = _shares_by_level(column, won) if column.dtype == pl.String else column.to_physical()
    ranks = values.cast(pl.Float64)
    found = auc(won, ranks.fill_null(ranks.mean() or 0.0).to_numpy())
    return max(found, 1 - found)


def _shares_by_level(column: pl.Series, won: Floats) -> pl.Series:
    """Give each level's share won; levels of few rows together, since one row alone always tells its own outcome."""
    frame = pl.DataFrame({"level": column, "won": won}).with_columns(pl.len().over("level").alias("rows"))
    level = pl.when(pl.col("rows") >= LEVEL_ROWS_MIN).then("level")
    return frame.select(pl.col("won").mean().over(level).alias("share"))["share"]


def find_late_filling(column: pl.Series, known: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Give the shares of closed and of open rows that are filled, where the gap is suspicious; None where it is not.

    Args:
        column: values of all rows.
        known: whether each row's outcome is known.
    """
    if known.all() or not known.any():
        return None
    filled = column.is_not_null().to_numpy()
    closed, still_open = float(filled[known].mean()), float(filled[~known].mean())
    return (closed, still_open) if closed - still_open > FILL_GAP_SUSPICIOUS else None
