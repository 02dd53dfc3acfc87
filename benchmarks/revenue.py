"""Judge revenue outlooks through the command line: accuracy, ranges, coherence and cost, against simple methods."""

import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.product import CommandFailedError, run_forecast
from benchmarks.series_peers import compare_ranges
from benchmarks.series_sets import (
    REAL,
    SHORT,
    SeriesSet,
    last_year_grown,
    naive_adjusted,
    seasonal_naive,
    usual_error,
)

# MASE, and OWA for the sets of a competition, that a set must not exceed.
BARS = {"tourism_au": 0.955, "aus_retail": 0.635, "superstore": 1.09}
OWA_BARS = {"m3_monthly": 0.82, "m3_quarterly": 0.895}
# Mean MASE of the mean of ETS, optimised Theta and CES, measured once with statsforecast 2.0.3.
ENSEMBLE = {"m3_short12": 1.96, "m3_short18": 1.06, "m3_short24": 0.89, "m3_short36": 0.80}
SHARES = {"lo-95": 0.025, "lo-80": 0.1, "lo-50": 0.25, "hi-50": 0.75, "hi-80": 0.9, "hi-95": 0.975}
COST_SERIES = 1000
COST_BAR = 60.0


def judge_series(series_set: SeriesSet) -> dict[str, Any]:
    """Give a set's figures: the product's MASE and that of simple methods, coverage, coherence and cost."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        try:
            runs = [_run(series_set, origin, Path(folder)) for origin in series_set.origins]
        except CommandFailedError as error:
            return {"name": series_set.name, "failed": str(error)}
    judged = pl.concat([run["judged"] for run in runs])
    methods = {name: float(_scaled(judged, name)) for name in ("product", "seasonal_naive", "last_year", "naive")}
    found: dict[str, Any] = {
        "name": series_set.name,
        "series": judged["unique_id"].n_unique(),
        "mase": methods,
        "coverage": _coverage(judged),
        "quantile_loss": _quantile_loss(judged),
        "scaled_crps": {name: float(np.mean([run["crps"][name] for run in runs])) for name in runs[0]["crps"]},
        "incoherence": max(run["incoherence"] for run in runs),
        "lowest": min(run["lowest"] for run in runs),
        "cpu_seconds": sum(run["cpu_seconds"] for run in runs),
    }
    if series_set.name in OWA_BARS:
        found["owa"] = _owa(judged)
    return found | {"verdicts": _verdicts(series_set.name, found)}


def judge_cost(series_set: SeriesSet) -> dict[str, Any]:
    """Time a thousand series, start-up included: those of the set, repeated under other names."""
    rows = series_set.known(series_set.horizon)
    names = rows["unique_id"].unique(maintain_order=True)
    copies = [
        rows.with_columns(unique_id=pl.col("unique_id") + f" {copy}") for copy in range(-(-COST_SERIES // len(names)))
    ]
    wanted = pl.concat(copies)["unique_id"].unique(maintain_order=True).head(COST_SERIES)
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        pl.concat(copies).filter(pl.col("unique_id").is_in(wanted.implode())).write_parquet(Path(folder) / "in.parquet")
        seconds = run_outlook(Path(folder), series_set, ())
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "series": COST_SERIES,
        "cpu_seconds": seconds,
        "peak_megabytes": memory,
        "verdicts": {f"≤ {COST_BAR:.0f} CPU seconds": bool(seconds <= COST_BAR)},
    }


def _run(series_set: SeriesSet, origin: int, folder: Path) -> dict[str, Any]:
    """Forecast from one origin, and lay forecasts beside what came."""
    known, asked = series_set.known(origin), series_set.asked(origin)
    known.write_parquet(folder / "in.parquet")
    seconds = run_outlook(folder, series_set, ("--draws", str(folder / "draws.parquet")) if series_set.levels else ())
    outlook = pl.read_parquet(folder / "out.parquet")
    incoherence, lowest = _coherence(folder, series_set) if series_set.levels else (0.0, float(outlook["lo-95"].min()))  # type: ignore[arg-type]
    labels = [] if "level" not in asked.columns else ["level"]
    judged = asked.select("unique_id", "ds", "y", *labels).join(
        outlook.select("unique_id", "ds", pl.col("mean").alias("product"), *SHARES), on=["unique_id", "ds"], how="inner"
    )
    peers = pl.concat([_peers(part, series_set) for part in known.partition_by("unique_id")])
    judged = judged.with_columns(step=pl.int_range(pl.len()).over("unique_id")).join(peers, on=["unique_id", "step"])
    crps = compare_ranges(known, judged, series_set)
    judged = judged.with_columns(origin=pl.lit(origin), horizon=pl.lit(series_set.horizon))
    if not labels:
        judged = judged.with_columns(level=pl.lit("bottom"))
    return {"judged": judged, "crps": crps, "incoherence": incoherence, "lowest": lowest, "cpu_seconds": seconds}


def run_outlook(folder: Path, series_set: SeriesSet, more: tuple[str, ...]) -> float:
    """Run the command; gives its processor seconds."""
    wanted = ["--levels", ",".join(series_set.levels)] if series_set.levels else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_forecast(
        folder,
        *("outlook", "--series", str(folder / "in.parquet"), "--horizon", str(series_set.horizon)),
        *("--out", str(folder / "out.parquet"), *wanted, *more),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _coherence(folder: Path, series_set: SeriesSet) -> tuple[float, float]:
    """Give the largest gap between a total and its parts in any draw, as a share of the total, and the lowest draw."""
    outlook, draws = pl.read_parquet(folder / "out.parquet"), pl.read_parquet(folder / "draws.parquet")
    values = draws["draws"].to_numpy()
    bottom = outlook["level"].to_numpy() == "bottom"
    worst = 0.0
    nodes = outlook.with_row_index("row").filter(pl.col("level") != "bottom")
    columns = [outlook[name].to_numpy() for name in series_set.levels]
    days = outlook["ds"].to_numpy()
    for row in nodes["row"].to_list()[:: max(1, nodes.height // 60)]:
        part = bottom & (days == days[row])
        for column in columns:
            part &= (column == column[row]) | (column[row] == "*")
        gap = np.abs(values[part].sum(axis=0) - values[row]) / np.maximum(np.abs(values[row]), 1)
        worst = max(worst, float(gap.max()))
    return worst, float(values.min())


def _peers(history: pl.DataFrame, series_set: SeriesSet) -> pl.DataFrame:
    values = history["y"].to_numpy().astype(float)
    season, horizon = series_set.season, series_set.horizon
    return pl.DataFrame(
        {
            "unique_id": [history["unique_id"][0]] * horizon,
            "step": np.arange(horizon),
            "seasonal_naive": seasonal_naive(values, season, horizon),
            "last_year": last_year_grown(values, season, horizon),
            "naive": naive_adjusted(values, season, horizon),
            "scale": [usual_error(values, season)] * horizon,
        }
    )


def _scaled(judged: pl.DataFrame, method: str, by: pl.Expr | None = None) -> Any:
    """Give the mean over series and origins of the mean absolute error, divided by each series' usual error."""
    rows = judged if by is None else judged.filter(by)
    error = ((pl.col(method) - pl.col("y")).abs() / pl.col("scale")).mean().alias("error")
    return rows.group_by("origin", "unique_id").agg(error).filter(pl.col("error").is_finite())["error"].mean()


def _owa(judged: pl.DataFrame) -> float:
    """Give the mean of MASE and sMAPE, each as a share of Naive 2's (M4 competition)."""
    mase = _scaled(judged, "product") / _scaled(judged, "naive")
    return float((mase + _smape(judged, "product") / _smape(judged, "naive")) / 2)


def _smape(judged: pl.DataFrame, method: str) -> float:
    gap = 200 * (pl.col(method) - pl.col("y")).abs() / (pl.col(method).abs() + pl.col("y").abs())
    return float(judged.select(gap.fill_nan(0).mean()).item())


def _coverage(judged: pl.DataFrame) -> list[dict[str, Any]]:
    """Give the share within the ranges: over all, by level, and by third of the horizon."""
    third = (3 * pl.col("step") // pl.col("horizon") + 1).cast(pl.String)
    inside = [
        pl.col("y").is_between(pl.col(f"lo-{level}") - 1e-9, pl.col(f"hi-{level}") + 1e-9).mean().alias(str(level))
        for level in (50, 80, 95)
    ]
    parts = [
        judged.group_by(name.alias("of")).agg(pl.len().alias("count"), *inside).sort("of")
        for name in (pl.lit("all"), pl.lit("level ") + pl.col("level"), pl.lit("third ") + third)
    ]
    return pl.concat(parts).to_dicts()


def _quantile_loss(judged: pl.DataFrame) -> float:
    """Give the mean pinball loss over the six bounds, twice, divided by each series' usual error: a scaled CRPS."""
    gaps = [pl.col("y") - pl.col(name) for name in SHARES]
    losses = [
        pl.max_horizontal(share * gap, (share - 1) * gap) for gap, share in zip(gaps, SHARES.values(), strict=True)
    ]
    loss = (2 * pl.mean_horizontal(losses) / pl.col("scale")).alias("loss")
    return float(judged.select(loss).filter(pl.col("loss").is_finite())["loss"].mean())  # type: ignore[arg-type]


def _verdicts(name: str, found: dict[str, Any]) -> dict[str, bool]:
    mase, verdicts = found["mase"], {}
    if name in BARS:
        verdicts[f"MASE ≤ {BARS[name]}"] = mase["product"] <= BARS[name]
    if name in OWA_BARS:
        verdicts[f"OWA ≤ {OWA_BARS[name]}"] = found["owa"] <= OWA_BARS[name]
    if name in SHORT:
        best = min(mase["seasonal_naive"], mase["last_year"], ENSEMBLE[name])
        verdicts["MASE ≤ 1.05 × best simple"] = mase["product"] <= 1.05 * best
        verdicts["better than all simple"] = mase["product"] < best
    if name in (*REAL, *SHORT):
        whole = found["coverage"][0]
        verdicts["80 % ranges hold .77–.84"] = 0.77 <= whole["80"] <= 0.84
        verdicts["95 % ranges hold .93–.97"] = 0.93 <= whole["95"] <= 0.97
    crps = found["scaled_crps"]
    best = min(value for name, value in crps.items() if name != "product")
    verdicts["scaled CRPS within 1 % of native and split conformal, or better"] = crps["product"] <= 1.01 * best
    verdicts["beats seasonal naive"] = mase["product"] < mase["seasonal_naive"]
    verdicts["coherent to 1e-6, nothing negative"] = found["incoherence"] <= 1e-6 and found["lowest"] >= 0
    return {rule: bool(met) for rule, met in verdicts.items()}
