"""One LightGBM for all series of a panel: what series have in common, learnt from their own past."""

import warnings
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean
from mlforecast.target_transforms import Differences, GlobalSklearnTransformer
from sklearn.preprocessing import FunctionTransformer

from forecast.series.closed import closed_steps
from forecast.series.panel import Floats, Panel, bounded, has_ended, may_be_negative

ROWS_MIN = 200
# More rows than these teach little more; of very many series some are learnt from, and all are forecast.
ROWS_MAX = 120_000
SERIES_AT_ONCE = 1000
TREES = 300
# Of a series' mean: keeps the logarithm of nothing sold within reach.
OFFSET = 0.05


def boosted(panel: Panel, horizon: int, *, seed: int) -> dict[str, Floats]:
    """Forecast each series by LightGBM on differences in logarithms, to the last period and to the last season.

    Returns:
        Method to series × periods ahead; nan where a series is too short or was below zero. Empty where the panel has
        too few rows to learn from.
    """
    if np.median(panel.lengths) < panel.season + 6:
        return {}
    found, closed = {}, closed_steps(panel, horizon)
    for name, difference in (("boosted", 1), ("boosted_yearly", panel.season)):
        chosen = [
            index
            for index, values in enumerate(panel.history)
            if len(values) > difference + 3
            and np.ptp(values) > 0
            and not may_be_negative(values)
            and not has_ended(values, panel.season)
        ]
        if (name == "boosted" or difference > 1) and panel.lengths[chosen].sum() >= ROWS_MIN:
            forecast = _forecast(panel, chosen, horizon, difference=difference, seed=seed)
            found[name] = np.where(closed & np.isfinite(forecast), 0.0, forecast)
    return found


def _forecast(panel: Panel, chosen: list[int], horizon: int, *, difference: int, seed: int) -> Floats:
    means = {index: panel.history[index].mean() for index in chosen}
    model = MLForecast(
        models={"mean": _trees(seed)},
        freq=1,
        num_threads=1,
        target_transforms=[_logarithm(), Differences([difference])],
        **_features(panel.season, difference, float(np.median(panel.lengths[chosen]))),
    )
    with warnings.catch_warnings():
        # Lags from before a series began are missing, and LightGBM takes them so; the rest is the library's to mend.
        warnings.simplefilter("ignore")
        taught = chosen[:: max(1, ceil(panel.lengths[chosen].sum() / ROWS_MAX))]
        model.fit(_long(panel, taught, means), dropna=False)
        predicted = _predicted(model, horizon, [None] if len(taught) == len(chosen) else _blocks(panel, chosen, means))
    forecast = np.full((len(panel.ids), horizon), np.nan)
    for row, index in enumerate(chosen):
        part = predicted[row * horizon : (row + 1) * horizon] * means[index]
        forecast[index] = bounded(part, panel.history[index])
    return forecast


def _blocks(panel: Panel, chosen: list[int], means: dict[int, float]) -> Iterator[pd.DataFrame]:
    """Lay series out some at a time, so that memory does not grow with their number."""
    for begin in range(0, len(chosen), SERIES_AT_ONCE):
        yield _long(panel, chosen[begin : begin + SERIES_AT_ONCE], means)


def _predicted(model: MLForecast, horizon: int, blocks: Iterable[pd.DataFrame | None]) -> Floats:
    """Forecast the series of each block, or those the model was fitted to; in order of series and period."""
    parts = [model.predict(horizon, new_df=block).sort_values(["unique_id", "ds"])["mean"] for block in blocks]
    return np.concatenate(parts)


def _long(panel: Panel, chosen: list[int], means: dict[int, float]) -> pd.DataFrame:
    """Lay series under one another, each divided by its mean; periods are numbers."""
    lengths = panel.lengths[chosen]
    ends = panel.ends[chosen]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(chosen, lengths),
            "ds": np.concatenate([np.arange(e - n + 1, e + 1) for e, n in zip(ends, lengths, strict=True)]),
            "y": np.concatenate([panel.history[index] / means[index] for index in chosen]),
        }
    )


def _trees(seed: int) -> lgb.LGBMRegressor:
    return lgb.LGBMRegressor(
        n_estimators=TREES,
        learning_rate=0.05,
        num_leaves=31,
        min_child_samples=30,
        colsample_bytree=0.7,
        subsample=0.7,
        subsample_freq=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        n_jobs=1,
        verbosity=-1,
    )


def _features(season: int, difference: int, length: float) -> dict[str, Any]:
    """Choose lags and means that most of the series are long enough for."""
    reach = 0.6 * length - difference
    near = range(1, min(season, 13) + 2)
    lags = [lag for lag in (*near, season, season + 1, 2 * season - 1, 2 * season) if lag < max(3, reach)]
    rolling = {1: [RollingMean(3, min_samples=1), RollingMean(max(2, season), min_samples=1)]}
    if season > 1 and season + 3 < reach:
        rolling[season] = [RollingMean(3, min_samples=1)]

    def place(periods: pd.Index) -> pd.Index:
        return periods % season

    return {"lags": sorted(set(lags)), "lag_transforms": rolling, "date_features": [place] if season > 1 else []}


def _logarithm() -> GlobalSklearnTransformer:
    def forwards(values: Floats) -> Floats:
        return np.log(np.maximum(values, 0) + OFFSET)

    def backwards(values: Floats) -> Floats:
        return np.exp(np.minimum(values, 20)) - OFFSET

    return GlobalSklearnTransformer(FunctionTransformer(func=forwards, inverse_func=backwards))
