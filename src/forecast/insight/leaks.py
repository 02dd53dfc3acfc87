"""Signs that a column knows the outcome: arithmetic on one column and what became of its rows."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.estimators.encoding import LEVEL_ROWS_MIN
from forecast.metrics import Floats, auc

AUC_SUSPICIOUS = 0.95
FILLED_AUC_SUSPICIOUS = 0.85
DECIDED_SHARE_SUSPICIOUS = 0.1
FILL_GAP_SUSPICIOUS = 0.5

_LIKELIHOOD_RATIO = 19.0  # were won and lost equally many, 95 % of a level's rows ended alike
_ROWS_LOOKED_AT = 50_000


def find_separation(column: pl.Series, won: Floats) -> float | None:
    """Give the AUC by which a column alone separates won from lost, where it is suspicious; None where it is not.

    By its values more than 0.95 are, by whether it is filled more than 0.85 are: gaps are left by how a sale is worked on.

    Args:
        column: values of rows of a known outcome; text counts by its levels, and missing values count as such too.
        won: 1 or 0, same rows.
    """
    if column.null_count() == len(column) or len(np.unique(won)) < 2:
        return None
    by_value = separation(column, won)
    by_filling = separation(column.is_null(), won) if column.null_count() else 0.0
    if by_value > AUC_SUSPICIOUS or by_filling > FILLED_AUC_SUSPICIOUS:
        return max(by_value, by_filling)
    return None


def find_deciding_levels(column: pl.Series, won: Floats) -> tuple[float, float] | None:
    """Give the shares of won and of lost rows with a level that hardly any of the other side has, where both are suspicious.

    What is known before the end may point one way as surely as that; it is what was written at the end that does both ways.

    Args:
        column: values of rows of a known outcome, one a record; each value of at least 20 rows, and a missing one, is a level.
        won: 1 or 0, same rows.
    """
    step = max(1, len(column) // _ROWS_LOOKED_AT)
    frame = pl.DataFrame({"level": column, "won": won, "lost": 1 - won}).gather_every(step)
    counts = frame.group_by("level").agg(pl.len().alias("rows"), pl.col("won", "lost").sum())
    levels = counts.filter(pl.col("rows") >= LEVEL_ROWS_MIN)
    won_in, lost_in = levels["won"].to_numpy(), levels["lost"].to_numpy()
    all_won, all_lost = max(1.0, won.sum() / step), max(1.0, (1 - won).sum() / step)
    # Two more on each side, as Agresti and Coull add: a level of few rows is not sure for having none of the other side.
    ratio = ((won_in + 2) / (all_won + 4)) / ((lost_in + 2) / (all_lost + 4))
    shares = (
        float(won_in[ratio >= _LIKELIHOOD_RATIO].sum() / all_won),
        float(lost_in[ratio <= 1 / _LIKELIHOOD_RATIO].sum() / all_lost),
    )
    return shares if min(shares) > DECIDED_SHARE_SUSPICIOUS else None


def separation(column: pl.Series, won: Floats) -> float:
    """Give the AUC by which a column alone separates won from lost, from 0.5 up; levels count by their own shares won."""
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
