"""Judge forecasts that know quotas, and chances of reaching them: the invented company of reps with quotas by quarter."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.revenue import run_outlook
from benchmarks.series_sets import Floats, SeriesSet, seasonal_naive

# Months from the start of a calendar quarter to the end of the set: the whole quarters that half a year of history is before.
QUARTERS = range(5, 30, 3)
MONTHS_MIN = 6


def judge_quotas(series_set: SeriesSet, folder: Path) -> dict[str, Any]:
    """Compare forecast, quota and seasonal naive by rep and quarter, and chances of attainment with what came."""
    # Quotas are dated a few days around the start of their calendar quarter.
    start = pl.col("quarter_start").dt.offset_by("15d").dt.truncate("1q").cast(pl.Date)
    quotas = pl.read_parquet(folder / "revenue" / "aw_quota.parquet").select(
        "rep", quota=pl.col("SalesAmountQuota").cast(pl.Float64), start=start
    )
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as home:
        quarters = pl.concat([_quarter(series_set, origin, quotas, Path(home)) for origin in QUARTERS])
    rows = quarters.join(quotas, on=["rep", "start"], how="inner").filter(pl.col("quota") > 0)
    wape = {name: _wape(rows, name) for name in ("product", "quota", "seasonal_naive")}
    draws = np.stack(rows["draws"].to_list())
    chance = (draws >= rows["quota"].to_numpy()[:, None]).mean(axis=1)
    attained = (rows["y"] >= rows["quota"]).to_numpy().astype(float)
    return {
        "rep_quarters": rows.height,
        "wape": wape,
        "quota_wape_of_all": _wape(_all_quarters(series_set, quotas), "quota"),
        "chance": float(chance.mean()),
        "attained": float(attained.mean()),
        "brier": float(((chance - attained) ** 2).mean()),
        "brier_of_the_share": float(attained.mean() * (1 - attained.mean())),
        "spiegelhalter_z": (z := spiegelhalter_z(attained, chance)),
        "reliability": _reliability(attained, chance),
        "verdicts": {
            "beats quota and seasonal naive": wape["product"] < min(wape["quota"], wape["seasonal_naive"]),
            "calibration is not refuted at 5 %": bool(abs(z) <= 1.96),
            "chances tell more than the share": bool(
                ((chance - attained) ** 2).mean() < attained.mean() * (1 - attained.mean())
            ),
        },
    }


def spiegelhalter_z(attained: Floats, chance: Floats) -> float:
    """Give the standard normal statistic of calibration (Spiegelhalter 1986): 0 on average where chances are true."""
    spread = np.sqrt((((1 - 2 * chance) ** 2) * chance * (1 - chance)).sum())
    return float(((attained - chance) * (1 - 2 * chance)).sum() / spread)


def _reliability(attained: Floats, chance: Floats) -> list[dict[str, float]]:
    """Give mean chance, share attained and its standard error, were the chances true, in thirds by chance."""
    return [
        {
            "count": len(part),
            "chance": float(chance[part].mean()),
            "attained": float(attained[part].mean()),
            "standard_error": float(np.sqrt((chance[part] * (1 - chance[part])).sum()) / len(part)),
        }
        for part in np.array_split(np.argsort(chance, kind="stable"), 3)
    ]


def _wape(rows: pl.DataFrame, name: str) -> float:
    return float(rows.select((pl.col(name) - pl.col("y")).abs().sum() / pl.col("y").sum()).item())


def _all_quarters(series_set: SeriesSet, quotas: pl.DataFrame) -> pl.DataFrame:
    """Give `quota` and `y` of each rep's whole quarters, those too that are too early to be forecast."""
    start = pl.col("ds").dt.truncate("1q").cast(pl.Date).alias("start")
    sold = series_set.rows.filter(pl.col("level") == "bottom").group_by("rep", start)
    whole = sold.agg(pl.col("y").sum(), months=pl.len()).filter(pl.col("months") == 3)
    return whole.join(quotas, on=["rep", "start"], how="inner")


def _quarter(series_set: SeriesSet, origin: int, quotas: pl.DataFrame, home: Path) -> pl.DataFrame:
    """Forecast one quarter from what was sold before it and the quotas set up to it."""
    known, asked = series_set.known(origin), series_set.asked(origin)
    known.write_parquet(home / "in.parquet")
    first = known["ds"].max().replace(day=1)  # type: ignore[union-attr]
    quotas.filter(pl.col("start") <= pl.lit(first).dt.offset_by("1mo")).select(
        "quota", unique_id="rep", ds="start"
    ).write_parquet(home / "quotas.parquet")
    run_outlook(home, series_set, ("--draws", str(home / "draws.parquet"), "--future", str(home / "quotas.parquet")))
    outlook = pl.read_parquet(home / "out.parquet").filter(pl.col("level") == "bottom")
    draws = pl.read_parquet(home / "draws.parquet")
    rows = outlook.join(draws, on=["unique_id", "ds"]).join(
        asked.select("unique_id", "ds", "y"), on=["unique_id", "ds"]
    )
    quarters = []
    for part in rows.partition_by("unique_id"):
        history = known.filter(pl.col("unique_id") == part["unique_id"][0])["y"].to_numpy().astype(float)
        if len(history) < MONTHS_MIN:
            continue
        quarters.append(
            {
                "rep": part["rep"][0],
                "start": part["ds"].min(),
                "y": float(part["y"].sum()),
                "product": float(part["mean"].sum()),
                "seasonal_naive": float(seasonal_naive(history, series_set.season, series_set.horizon).sum()),
                "draws": np.stack(part["draws"].to_list()).sum(axis=0).tolist(),
            }
        )
    return pl.DataFrame(quarters)
