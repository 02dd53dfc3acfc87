"""Judge revenue forecasts from records through the command line, at many past dates, against what CRMs show."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.preparation import OUTCOME_STAGES
from benchmarks.product import KINDS, MAPPINGS, CommandFailedError, run_forecast
from benchmarks.sets import find_win_set
from forecast.demo import simulate_company, write_export
from forecast.revenue.records import SalesRecords, months_ahead, read_sales
from forecast.revenue.yardsticks import booked_in, seasonal_naive, weighted_pipeline
from forecast.revenue_records import read_sales_records
from forecast.settings import Settings
from forecast.store import open_engine, unit_of_work

MONTHS = 3
METHODS = ("blend", "parts", "series", "weighted", "naive")
PEERS = {"parts": "the pipeline alone", "series": "time series alone", "weighted": "the weighted pipeline"}


@dataclass(frozen=True, kw_only=True)
class Replay:
    """When a version is trained, and from which moments it forecasts: every so many days until the end of the records.

    Attributes:
        seed: of a simulated company; None for a set of the data folder.
    """

    trained_at: datetime
    every_days: int
    ends_at: datetime
    seed: int | None = None


PIPELINES = {
    "company_1": Replay(
        trained_at=datetime(2026, 1, 1, tzinfo=UTC), every_days=36, ends_at=datetime(2026, 11, 1, tzinfo=UTC), seed=1
    ),
    "company_2": Replay(
        trained_at=datetime(2026, 1, 1, tzinfo=UTC), every_days=36, ends_at=datetime(2026, 11, 1, tzinfo=UTC), seed=2
    ),
    "maven_crm": Replay(
        trained_at=datetime(2017, 7, 15, tzinfo=UTC), every_days=19, ends_at=datetime(2018, 1, 1, tzinfo=UTC)
    ),
    "bpic12_approved": Replay(
        trained_at=datetime(2011, 12, 20, tzinfo=UTC), every_days=12, ends_at=datetime(2012, 3, 1, tzinfo=UTC)
    ),
    "bpic12_accepted": Replay(
        trained_at=datetime(2011, 12, 20, tzinfo=UTC), every_days=12, ends_at=datetime(2012, 3, 1, tzinfo=UTC)
    ),
}


def judge_pipeline(name: str, folder: Path) -> dict[str, Any]:
    """Give each method's absolute error as a share of revenue, over all months and by month ahead."""
    plan = PIPELINES[name]
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as made:
        home = Path(made)
        try:
            if not _import(name, plan, folder, home):
                return {"name": name, "absent": True}
            run_forecast(home, "train", "revenue_forecast", "--as-of", plan.trained_at.isoformat())
            judged = pl.concat(_replayed(home, plan))
        except CommandFailedError as error:
            return {"name": name, "failed": str(error)}
    known = judged.filter(pl.col("actual").is_finite())
    errors = _errors(known)
    return {
        "name": name,
        "origins": known["as_of"].n_unique(),
        "error": errors,
        "by_month_ahead": {
            str(ahead + 1): _errors(part)
            for (ahead,), part in known.sort("ahead").group_by("ahead", maintain_order=True)
        },
        "within_80": float(known["actual"].is_between(known["lo-80"], known["hi-80"]).mean() or 0),
        "verdicts": {f"beats {said}": errors["blend"] < errors[peer] for peer, said in PEERS.items()},
    }


def _import(name: str, plan: Replay, folder: Path, home: Path) -> bool:
    files = home / "files"
    if plan.seed is not None:
        write_export(simulate_company(plan.seed, plan.ends_at), files)
        # The real sets have none, and all are to be measured alike.
        (files / "quotas.csv").unlink()
        run_forecast(home, "import", str(files))
        return True
    win_set = find_win_set(folder, name)
    if win_set is None:
        return False
    files.mkdir()
    parts = {"opportunities": win_set.rows, **win_set.history}
    for part, rows in parts.items():
        told = rows.filter(~pl.col("stage").is_in(OUTCOME_STAGES)) if part == "stage_changes" else rows
        told.write_csv(files / f"{part}.csv")
        how = ["--as", KINDS[part]] if part in KINDS else ["--mapping", str(MAPPINGS / f"{name}.toml")]
        run_forecast(home, "import", str(files / f"{part}.csv"), *how)
    return True


def _replayed(home: Path, plan: Replay) -> list[pl.DataFrame]:
    """Forecast at each date, and lay what came and the yardsticks beside it."""
    settings = Settings(home=home)
    engine = open_engine(settings)
    with unit_of_work(engine) as session:
        records = read_sales_records(session, timezone=settings.timezone)
    count = (plan.ends_at - plan.trained_at) // timedelta(days=plan.every_days)
    moments = [plan.trained_at + turn * timedelta(days=plan.every_days) for turn in range(count)]
    found = [_at(home, records, moment, plan.ends_at) for moment in moments]
    engine.dispose()
    return found


def _at(home: Path, records: SalesRecords, moment: datetime, ends_at: datetime) -> pl.DataFrame:
    target = home / "outlook.parquet"
    run_forecast(
        home,
        *("outlook", "--as-of", moment.isoformat(), "--horizon", str(MONTHS), "--unit", "company"),
        *("--out", str(target)),
    )
    said = pl.read_parquet(target)
    sales, now = read_sales(records, moment), read_sales(records, ends_at)
    months = months_ahead(moment, MONTHS, records.timezone)
    over = months.ends_days <= (ends_at - moment) / timedelta(days=1)
    return said.select(
        pl.lit(moment).alias("as_of"),
        pl.int_range(pl.len()).alias("ahead"),
        pl.Series("actual", np.where(over, booked_in(now, months), np.nan)),
        pl.col("mean").alias("blend"),
        pl.sum_horizontal("won", "open", "new").alias("parts"),
        pl.coalesce("series", pl.sum_horizontal("won", "open", "new")).alias("series"),
        pl.Series("weighted", weighted_pipeline(sales, months)),
        pl.Series("naive", seasonal_naive(sales, months)),
        "lo-80",
        "hi-80",
    )


def _errors(rows: pl.DataFrame) -> dict[str, float]:
    whole = float(rows["actual"].sum())
    return {name: float((rows[name] - rows["actual"]).abs().sum()) / whole for name in METHODS}
