"""Learn from records that silence has had no time to end: their wins show already, and one still open counts as partly lost."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.features.durations import days
from forecast.metrics import Floats
from forecast.outcomes import maturity

SHOWN_MORE = 0.5
"""By half the age at which outcomes are fair so much more of the wins than of the losses must have come."""

WINS_MIN = 0.5
"""So much of the wins that older records had at their ages young ones must have: else wins are entered late, or not told."""


@dataclass(frozen=True, kw_only=True)
class Young:
    """What rows of young records teach.

    Attributes:
        rows: which they are.
        won: 1 or 0; 0 where the record is still open.
        weight: 1 where the end is known, else how much of a loss an open one is.
    """

    rows: NDArray[np.bool_]
    won: Floats
    weight: Floats


@dataclass(frozen=True)
class Incidence:
    """Share of all records that have come to one of two ends by each day since creation, ascending (Aalen and Johansen 1978)."""

    days: Floats
    share: Floats

    @property
    def total(self) -> float:
        """The share that comes to this end."""
        return float(self.share.max(initial=0.0))

    def come(self, days: Floats) -> Floats:
        """Give how much of all that come to this end has by then, 0-1."""
        place = np.searchsorted(self.days, days, side="right")
        return np.asarray(np.concatenate([[0.0], self.share])[place] / max(self.total, 1e-12))


def find_young(keys: pl.DataFrame, until: datetime) -> Young | None:
    """Find records below the age at which half of the wins and half of the losses have come.

    None unless wins come well before losses, and young records have had as many as is plausible.

    Where a record is lost by silence after some months, young ones show wins only. Of those of an age at which a share w of all wins
    has come and a share l of all losses, an open one counts as so much of a loss that won and lost of this age weigh as
    they will in the end, w times. For rows at a later age of their record the shares are of what was still to come.

    Args:
        keys: as `Dataset.keys`, of rows with moments.
        until: what came then or later is not known.
    """
    rows = _ages(keys, until)
    records = rows.filter("seen").unique("opportunity_id", keep="first", maintain_order=True)
    known = records.filter("known")
    fair = maturity(known["created_at"], known["known_at"], known["won"]) / timedelta(days=1)
    wins, losses = (_incidence(records, end) for end in (1, 0))
    if not (wins.total and losses.total):
        return None
    half = np.array([fair / 2])
    if wins.come(half)[0] - losses.come(half)[0] < SHOWN_MORE or _lack_wins(records, fair):
        return None
    is_known, age = rows["known"].to_numpy(), rows["age"].to_numpy()
    weight = np.where(is_known, 1.0, _lost_share(wins, losses, rows["at"].to_numpy(), age))
    young = rows["seen"].to_numpy() & (age < fair) & (weight > 0)
    won = np.where(is_known, keys["won"].cast(pl.Float64).fill_null(0.0).to_numpy(), 0.0)
    return Young(rows=young, won=won, weight=np.where(young, weight, 0.0))


def _lack_wins(records: pl.DataFrame, fair: float) -> bool:
    older, young = records.filter(pl.col("age") >= fair), records.filter(pl.col("age") < fair)
    wins = _incidence(older, 1)
    expected = wins.total * wins.come(young["age"].to_numpy()).sum()
    return bool(young.filter("known")["won"].sum() < WINS_MIN * expected)


def _ages(keys: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """Give each row's age `at` its moment and its record's `age` then, in days, and whether its end was `known`."""
    limit = pl.lit(until).cast(pl.Datetime("us", "UTC"))
    known = pl.col("won").is_not_null() & (pl.col("known_at") < limit)
    undated = pl.col("won").is_not_null() & pl.col("closed_at").is_null()
    return keys.with_columns(
        known.fill_null(value=False).alias("known"),
        ((pl.col("as_of") < limit) & pl.col("created_at").is_not_null() & ~undated)
        .fill_null(value=False)
        .alias("seen"),
        *(
            days(moment - pl.col("created_at")).fill_null(0.0).alias(name)
            for name, moment in (("at", pl.col("as_of")), ("age", limit))
        ),
        days(pl.min_horizontal("known_at", limit) - pl.col("created_at")).alias("took"),
    )


def _incidence(records: pl.DataFrame, end: int) -> Incidence:
    ordered = records.sort("took")
    left = ordered.height - np.arange(ordered.height)
    ended = ordered["known"].to_numpy()
    so = ended & (ordered["won"].fill_null(-1) == end).to_numpy()
    still_open = np.concatenate([[1.0], np.cumprod(1 - ended / left)])[:-1]
    return Incidence(ordered["took"].to_numpy(), np.cumsum(still_open * so / left))


def _lost_share(wins: Incidence, losses: Incidence, at: Floats, age: Floats) -> Floats:
    """Give how much of a loss a row counts as whose record was open at one age, and still is at a later one."""
    (won_before, won), (lost_before, lost) = (_come_since(end, at, age) for end in (wins, losses))
    to_win, to_lose = wins.total * (1 - won_before), losses.total * (1 - lost_before)
    still_open = to_lose * (1 - lost) + to_win * (1 - won)
    return np.clip(to_lose * (won - lost) / np.maximum(still_open, 1e-12), 0.0, 1.0)


def _come_since(end: Incidence, at: Floats, age: Floats) -> tuple[Floats, Floats]:
    """Give how much has come by one age, and of what was still to come how much by a later one."""
    before = end.come(at)
    return before, (end.come(age) - before) / np.maximum(1 - before, 1e-12)
