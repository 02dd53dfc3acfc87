"""Ranges to compare with: those that the ensemble's models give themselves, and plain split conformal around its mean."""

import warnings

import numpy as np
import polars as pl
from utilsforecast.losses import scaled_crps

from benchmarks.series_sets import Floats, SeriesSet, usual_error

SHARES = {"lo-95": 0.025, "lo-80": 0.1, "lo-50": 0.25, "product": 0.5, "hi-50": 0.75, "hi-80": 0.9, "hi-95": 0.975}
LEVELS = [50, 80, 95]
# AutoCES and AutoETS take a second a series: some of each set stand for all.
SERIES_MAX = 40
# Fewer values than this are too few for the models.
LENGTH_MIN = 6


def compare_ranges(known: pl.DataFrame, judged: pl.DataFrame, series_set: SeriesSet) -> dict[str, float]:
    """Give the mean scaled CRPS (Rangapuram et al. 2021) over some series of the product's ranges and of two peers.

    Args:
        judged: `unique_id, step, y`, the product's mean and bounds.
    """
    chosen = [part for part in known.partition_by("unique_id", maintain_order=True) if _suits(part)]
    chosen = chosen[:: max(1, len(chosen) // SERIES_MAX)]
    peers = _peer_quantiles([part["y"].to_numpy().astype(float) for part in chosen], series_set)
    frames = [
        pl.DataFrame({"unique_id": part["unique_id"][0], "step": np.arange(series_set.horizon)}).with_columns(
            **{
                f"{name} {share}": values[index, :, place]
                for name, values in peers.items()
                for place, share in enumerate(SHARES)
            }
        )
        for index, part in enumerate(chosen)
    ]
    rows = judged.filter(pl.col("y").is_not_null()).join(pl.concat(frames), on=["unique_id", "step"])
    models = {"product": list(SHARES)} | {name: [f"{name} {share}" for share in SHARES] for name in peers}
    found = scaled_crps(rows, models, np.array(list(SHARES.values())))
    # A series without any revenue after the origin has nothing to scale by.
    sold = rows.group_by("unique_id").agg(pl.col("y").abs().sum()).filter(pl.col("y") > 0)["unique_id"]
    kept = found.filter(pl.col("unique_id").is_in(sold.implode()))
    return {name: float(kept[name].mean()) for name in models}  # type: ignore[arg-type]


def _suits(part: pl.DataFrame) -> bool:
    values = part["y"].to_numpy()
    return len(values) >= LENGTH_MIN and bool(np.ptp(values) > 0)


def _peer_quantiles(histories: list[Floats], series_set: SeriesSet) -> dict[str, Floats]:
    """Give series × horizon × shares of each peer; split conformal where histories allow a season before its origin."""
    horizon = series_set.horizon
    native = np.array([_ensemble(values, series_set.season, horizon) for values in histories])
    found = {"native": native}
    enough = all(len(values) >= series_set.season + horizon + LENGTH_MIN for values in histories)
    if enough:
        scale = np.array([usual_error(values, series_set.season) for values in histories])
        middle = list(SHARES).index("product")
        before = [_ensemble(values[:-horizon], series_set.season, horizon)[:, middle] for values in histories]
        errors = np.array([values[-horizon:] for values in histories]) - np.array(before)
        shares = np.nanquantile(errors / scale[:, None], list(SHARES.values()), axis=0)
        shares[middle] = 0
        found["split conformal"] = native[:, :, middle, None] + shares.T[None] * np.nan_to_num(scale)[:, None, None]
    return {
        name: np.maximum(values, 0) if min(map(np.min, histories)) >= 0 else values for name, values in found.items()
    }


def _ensemble(values: Floats, season: int, horizon: int) -> Floats:
    """Give horizon × shares: the means of what AutoETS, optimised Theta and CES say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsforecast.models import AutoCES, AutoETS, DynamicOptimizedTheta  # type: ignore[import-untyped]

        usable = season if len(values) >= 2 * season + 1 else 1
        found = []
        for model in (AutoETS, DynamicOptimizedTheta, AutoCES):
            try:
                told = model(season_length=usable).forecast(values.copy(), horizon, level=LEVELS)
            except Exception:  # noqa: BLE001, S112 - the models give up on some short series in ways of their own
                continue
            quantiles = np.array([told["mean" if name == "product" else name] for name in SHARES]).T
            found += [quantiles] if np.isfinite(quantiles).all() else []
    return np.mean(found, axis=0) if found else np.full((horizon, len(SHARES)), values.mean())
