"""Fit the win curve on all that is known of when opportunities ended, those still open included."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.estimators.deal_clock import DealClock, fit_clock
from forecast.estimators.encoding import Encoding
from forecast.estimators.win import occasions
from forecast.estimators.win_curve import LOST, OPEN, WON, WinCurve, amount_weights, cut_time, fit_win_curve
from forecast.features.durations import days
from forecast.features.untold import without_untold
from forecast.metrics import Floats
from training.dataset import Dataset

SUBJECTS_MAX = 10_000


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What was seen of each row's end before a moment.

    Attributes:
        took_days: from the row's moment to its end, or to the moment that looks back for one still open then.
        end: OPEN, WON or LOST.
        seen: rows that existed by then and whose end, if they had one, has a date.
    """

    took_days: Floats
    end: NDArray[np.int64]
    seen: NDArray[np.bool_]


def ends_seen(dataset: Dataset, until: datetime) -> Ends:
    """Tell how each row had ended before a moment; a later end is not known."""
    limit = pl.lit(until).cast(pl.Datetime("us", "UTC"))
    ended = pl.col("won").is_not_null() & (pl.col("closed_at") < limit)
    found = dataset.keys.select(
        days(pl.when(ended).then("closed_at").otherwise(limit) - pl.col("as_of")).alias("took"),
        pl.when(ended).then(pl.when(pl.col("won") == 1).then(WON).otherwise(LOST)).otherwise(OPEN).alias("end"),
        ((pl.col("as_of") < limit) & ~(pl.col("won").is_not_null() & pl.col("closed_at").is_null())).alias("seen"),
    )
    return Ends(
        took_days=found["took"].fill_null(0.0).cast(pl.Float64).to_numpy(),
        end=found["end"].cast(pl.Int64).to_numpy(),
        seen=found["seen"].fill_null(value=False).to_numpy(),
    )


def fit_curve(
    dataset: Dataset, encoding: Encoding, until: datetime, *, horizon_days: float, seed: int
) -> WinCurve | None:
    """Fit the curve on what was known at a moment; None where ends have no dates.

    Moments at which a stage is entered are left out: what has just moved ends sooner than what stands, and is most of the
    rows where stages are many. Of more than SUBJECTS_MAX rows a random part is enough. Large opportunities count for more.
    """
    if not dataset.timed:
        return None
    ends = ends_seen(dataset, until)
    rows = np.flatnonzero(ends.seen & ~occasions(dataset.features)["entry"])
    if len(rows) > SUBJECTS_MAX:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SUBJECTS_MAX, replace=False))
    features = without_untold(dataset.features[rows], pl.Series(ends.end[rows] != OPEN))
    return fit_win_curve(
        encoding.matrix(features),
        ends.took_days[rows],
        ends.end[rows],
        edges_days=cut_time(ends.took_days[rows], ends.end[rows], horizon_days),
        category_positions=encoding.category_positions,
        seed=seed,
        weights=amount_weights(dataset.features["amount"][rows]),
        clock=_clock(dataset, ends, encoding),
    )


def _clock(dataset: Dataset, ends: Ends, encoding: Encoding) -> DealClock | None:
    """Fit the clock on each opportunity from its creation on, at the amount that it had first."""
    lived = days(pl.col("as_of") - pl.col("created_at"))
    first = (
        dataset.keys.select("opportunity_id", "as_of", lived.alias("lived"))
        .with_columns(
            dataset.features["amount"],
            took=pl.Series(ends.took_days),
            ended=pl.Series(ends.end != OPEN),
        )
        .filter(pl.Series(ends.seen), pl.col("amount").is_not_null())
        .unique("opportunity_id", keep="first", maintain_order=True)
    )
    lasted = (first["took"] + first["lived"].fill_null(0.0)).to_numpy()
    return fit_clock(
        first["amount"].cast(pl.Float64).to_numpy(), lasted, first["ended"].to_numpy(), columns=encoding.features
    )
