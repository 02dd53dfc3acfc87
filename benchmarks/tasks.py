"""What is timed in a process of its own, so that its peak of memory is its own: `python -m benchmarks.tasks NAME …`.

Prints `{"seconds": …, "peak_mib": …}`.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Opportunity
from forecast.settings import Settings
from forecast.snapshot import History, take_snapshot
from forecast.store import open_engine, read_frame

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES_EACH = 10
_STAGES = ["qualification", "proposal", "negotiation"]


def import_export(home: str, path: str) -> float:
    """Import a file of opportunities into a database that is migrated."""
    from forecast.intake import import_files

    engine = open_engine(Settings(home=Path(home)))
    begun = time.perf_counter()
    (report,) = import_files(
        engine, [Path(path)], kind="opportunity", imported_at=MOMENT, rejects_folder=Path(home) / "rejects"
    ).reports
    seconds = time.perf_counter() - begun
    engine.dispose()
    if report.read != report.new + report.unchanged:
        raise SystemExit(f"{report.changed} rows changed and {report.rejected} were rejected; expected none")
    return seconds


def read_opportunities(home: str) -> float:
    """Read all opportunities into a frame."""
    engine = open_engine(Settings(home=Path(home)))
    with Session(engine) as session:
        begun = time.perf_counter()
        read_frame(session, sa.select(Opportunity.__table__))
        seconds = time.perf_counter() - begun
    engine.dispose()
    return seconds


def snapshot(home: str, count: str) -> float:
    """Take a snapshot of all opportunities of a company that has ten changes for each."""
    from forecast.history import read_history

    engine = open_engine(Settings(home=Path(home)))
    with Session(engine) as session:
        history = _company(read_history(session), int(count))
    engine.dispose()
    subjects = history.opportunities.select("opportunity_id", pl.lit(MOMENT).alias("as_of"))
    begun = time.perf_counter()
    found = take_snapshot(history, subjects)
    seconds = time.perf_counter() - begun
    if found.rows.height != int(count):
        raise SystemExit(f"the snapshot has {found.rows.height} rows; expected {count}")
    return seconds


def _company(empty: History, count: int) -> History:
    """Fill the frames of an empty database's history."""
    random = np.random.default_rng(0)
    ids = "O" + pl.int_range(count, eager=True).cast(pl.String).str.zfill(8)
    created = _moments(random, count, 0, 900)
    stored = pl.DataFrame(
        {
            "opportunity_id": ids,
            "created_at": created,
            "amount": random.lognormal(9, 1, count).round(2),
            "stage": pl.Series(random.choice(_STAGES, count)),
        }
    )
    closings = pl.DataFrame({"opportunity_id": ids, "status": pl.Series(random.choice(["open", "won", "lost"], count))})
    return replace(
        empty,
        opportunities=_like(empty.opportunities, stored),
        closings=_like(empty.closings, closings.with_columns(closed_at=_moments(random, count, 900, 1000))),
        changes=_changes(empty.changes, ids, random),
    )


def _changes(empty: pl.DataFrame, ids: pl.Series, random: np.random.Generator) -> pl.DataFrame:
    count = len(ids) * CHANGES_EACH
    is_stage = random.random(count) < 0.5
    stages = pl.Series(random.choice(_STAGES, count))
    amounts = pl.Series(random.integers(1_000, 90_000, count)).cast(pl.String)
    rows = pl.DataFrame(
        {
            "record_id": ids.gather(random.integers(0, len(ids), count)),
            "field": pl.Series(np.where(is_stage, "stage", "amount")),
            "changed_at": _moments(random, count, 0, 1000),
            "new_value": stages.zip_with(pl.Series(is_stage), amounts),
        }
    )
    return _like(empty, rows.sort("changed_at"))


def _moments(random: np.random.Generator, count: int, first: int, last: int) -> pl.Series:
    seconds = random.integers(first * 86_400, last * 86_400, count) + int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())
    return pl.from_epoch(pl.Series(seconds), time_unit="s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _like(empty: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([empty.clear(), rows.cast({name: empty.schema[name] for name in rows.columns})], how="diagonal")


TASKS: dict[str, Callable[..., float]] = {
    "import": import_export,
    "read": read_opportunities,
    "snapshot": snapshot,
}


def peak_mib() -> float:
    """Give this process's peak of memory; on Linux the usual figure is that of the process which started it, if greater."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


if __name__ == "__main__":
    seconds = TASKS[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib()}))
