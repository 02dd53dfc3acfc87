"""Judge chances of reaching a quota: the invented company whose quotas by rep and quarter are known."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.revenue import run_outlook
from benchmarks.series_sets import SeriesSet, seasonal_naive

# Months from the start of a calendar quarter to the end of the set: the last quarters that are whole, back to the spring of 2012.
QUARTERS = range(5, 21, 3)


def judge_quotas(series_set: SeriesSet, folder: Path) -> dict[str, Any]:
    """Compare forecast, quota and seasonal naive by rep and quarter, and chances of attainment with what came."""
    # Quotas are dated a few days around the start of their calendar quarter.
    start = pl.col("quarter_start").dt.offset_by("15d").dt.truncate("1q").cast(pl.Date)
    quotas = pl.read_parquet(folder / "revenue" / "aw_quota.parquet").select(
        "rep", quota=pl.col("SalesAmountQuota").cast(pl.Float64), start=start
    )
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as home:
        quarters = pl.concat([_quarter(series_set, origin, Path(home)) for origin in QUARTERS])
    rows = quarters.join(quotas, on=["rep", "start"], how="inner").filter(pl.col("quota") > 0)
    total = rows["y"].sum()
    wape = {
        name: float((rows[name] - rows["y"]).abs().sum() / total) for name in ("product", "quota", "seasonal_naive")
    }
    draws = np.stack(rows["draws"].to_list())
    chance = (draws >= rows["quota"].to_numpy()[:, None]).mean(axis=1)
    attained = (rows["y"] >= rows["quota"]).to_numpy().astype(float)
    spread = float(np.sqrt((chance * (1 - chance)).sum()) / len(rows))
    return {
        "rep_quarters": rows.height,
        "wape": wape,
        "chance": float(chance.mean()),
        "attained": float(attained.mean()),
        "brier": float(((chance - attained) ** 2).mean()),
        "brier_of_the_share": float(attained.mean() * (1 - attained.mean())),
        "verdicts": {
            "beats quota and seasonal naive": wape["product"] < min(wape["quota"], wape["seasonal_naive"]),
            "chances match attainment within two standard errors": bool(
                abs(chance.mean() - attained.mean()) <= 2 * spread
            ),
            "chances tell more than the share": bool(
                ((chance - attained) ** 2).mean() < attained.mean() * (1 - attained.mean())
            ),
        },
    }


def _quarter(series_set: SeriesSet, origin: int, home: Path) -> pl.DataFrame:
    known, asked = series_set.known(origin), series_set.asked(origin)
    known.write_parquet(home / "in.parquet")
    run_outlook(home, series_set, ("--draws", str(home / "draws.parquet")))
    outlook = pl.read_parquet(home / "out.parquet").filter(pl.col("level") == "bottom")
    draws = pl.read_parquet(home / "draws.parquet")
    rows = outlook.join(draws, on=["unique_id", "ds"]).join(
        asked.select("unique_id", "ds", "y"), on=["unique_id", "ds"]
    )
    quarters = []
    for part in rows.partition_by("unique_id"):
        history = known.filter(pl.col("unique_id") == part["unique_id"][0])["y"].to_numpy().astype(float)
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
