"""The revenue sets: series with a horizon, origins and a hierarchy, as their protocols say to judge them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REAL = ("m3_monthly", "m3_quarterly", "tourism_au", "aus_retail")
SHORT = ("m3_short12", "m3_short18", "m3_short24", "m3_short36")
INVENTED = ("superstore", "aw_rep", "aw_territory", "classicmodels_rep")
SERIES_SETS = (*REAL, *SHORT, *INVENTED)


@dataclass(frozen=True, kw_only=True)
class SeriesSet:
    """Series of one kind.

    Attributes:
        rows: `unique_id, ds, y`, the level columns and totals where there is a hierarchy.
        origins: periods that are held out, one number an origin.
        levels: the level columns; empty where series add up to nothing.
    """

    name: str
    rows: pl.DataFrame
    season: int
    horizon: int
    origins: tuple[int, ...]
    levels: tuple[str, ...]

    def known(self, origin: int) -> pl.DataFrame:
        """Give the rows before an origin."""
        return self.rows.filter(_place() < _count() - origin)

    def asked(self, origin: int) -> pl.DataFrame:
        """Give the rows after an origin, as many as the horizon, of series that are known before it."""
        after = _place() - (_count() - origin)
        return self.rows.filter(after.is_between(0, self.horizon - 1) & (_count() > origin))


def _place() -> pl.Expr:
    return pl.int_range(pl.len(), dtype=pl.Int64).over("unique_id")


def find_series_set(folder: Path, name: str) -> SeriesSet | None:
    """Read the set of that name under the data folder; None where it is absent."""
    home = folder / "revenue"
    if not (home / "protocols.json").exists():
        return None
    protocol: dict[str, Any] = json.loads((home / "protocols.json").read_text())[name]
    rows = pl.read_parquet(home / protocol["file"]).sort("unique_id", "ds").with_columns(pl.col("ds").cast(pl.Date))
    return SeriesSet(
        name=name,
        rows=rows,
        season=protocol["season"],
        horizon=protocol["horizon"],
        origins=tuple(protocol["eval"]),
        levels=tuple(protocol["hier"]["cols"]) if protocol["hier"] else (),
    )


def _count() -> pl.Expr:
    # Signed, as fewer rows than the origin must not wrap around.
    return pl.len().cast(pl.Int64).over("unique_id")


def usual_error(values: Floats, season: int) -> float:
    """Give the error that MASE divides by: of seasonal naive in the history, or of naive below two seasons."""
    lag = season if len(values) > season else 1
    error = float(np.abs(values[lag:] - values[:-lag]).mean()) if len(values) > lag else float("nan")
    return error or float("nan")


def seasonal_naive(values: Floats, season: int, horizon: int) -> Floats:
    """Repeat the last season, or the mean of less than one."""
    if len(values) < season:
        return np.full(horizon, values.mean())
    return values[-season:][np.arange(horizon) % season]


def last_year_grown(values: Floats, season: int, horizon: int) -> Floats:
    """Repeat the last season times its growth over the one before, between a half and two."""
    shared = min(season, len(values) - season)
    if shared < 3:
        return seasonal_naive(values, season, horizon)
    now, then = values[-shared:].sum(), values[-shared - season : -season].sum()
    growth = np.clip(now / then, 0.5, 2) if then > 0 else 1.0
    return seasonal_naive(values, season, horizon) * growth


def naive_adjusted(values: Floats, season: int, horizon: int) -> Floats:
    """Repeat the last value, seasonally adjusted where a test finds a season (Naive 2 of the M competitions)."""
    if season == 1 or len(values) < 3 * season or not _is_seasonal(values, season) or values.min() <= 0:
        return np.full(horizon, values[-1])
    weights = np.r_[0.5, np.ones(season - 1), 0.5] / season if season % 2 == 0 else np.ones(season) / season
    middle = np.convolve(values, weights, "valid")
    lost = (len(values) - len(middle)) // 2
    ratio = values[lost : lost + len(middle)] / middle
    index = np.array([ratio[(np.arange(len(middle)) + lost) % season == place].mean() for place in range(season)])
    index *= season / index.sum()
    ahead = index[(len(values) + np.arange(horizon)) % season]
    return values[-1] / index[(len(values) - 1) % season] * ahead


def _is_seasonal(values: Floats, season: int) -> bool:
    centred = values - values.mean()
    total = (centred**2).sum()
    if total == 0:
        return False
    related = np.array([(centred[lag:] * centred[:-lag]).sum() / total for lag in range(1, season + 1)])
    limit = 1.645 * np.sqrt((1 + 2 * (related[:-1] ** 2).sum()) / len(values))
    return bool(abs(related[-1]) > limit)
