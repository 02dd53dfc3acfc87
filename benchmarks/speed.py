"""Measure speed as ratios against what PostgreSQL and Polars do alone with the same bytes on the same server.

What is measured runs in a process of its own (`benchmarks.tasks`), which tells its peak of memory too.
"""

import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from forecast.records import Opportunity
from forecast.settings import Settings
from forecast.store import copy_frame, migrate, open_engine, unit_of_work

ROWS, QUICK_ROWS = 1_000_000, 100_000
SEED = 0
CUSTOM = ("competitor", "seats", "contract_months", "budget_approved", "segment")
TYPES = {
    "created_at": "timestamptz",
    "closed_at": "timestamptz",
    "expected_close_on": "date",
    "amount": "double precision",
    "seats": "integer",
    "contract_months": "integer",
    "budget_approved": "boolean",
}
"""What COPY can make of the columns of the file by itself; the others are text."""
TIMES = 3


def import_speed(rows: int) -> list[dict[str, Any]]:
    """Import a file of opportunities with 20 columns, twice; COPY loads the same file into bare tables, of text and of typed columns.

    All of it by turns, `TIMES` times, since a machine may be slower for a while: medians are given.
    """
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        path = Path(folder) / "opportunities.csv"
        synthetic_opportunities(rows).write_csv(path)
        rounds = [_import_round(Path(folder) / f"round-{number}", path, rows) for number in range(TIMES)]
    found = pl.DataFrame(rounds).median().row(0, named=True)
    return [
        {
            "task": task,
            "seconds": found[f"{name}_seconds"],
            "peak_mib": found[f"{name}_peak_mib"],
            "yardstick": f"COPY FROM into {columns} columns",
            "yardstick_seconds": found[columns],
        }
        for task, name in (
            (f"import {rows:,} opportunities from CSV", "empty"),
            (f"import the same {rows:,} again", "full"),
        )
        for columns in ("text", "typed")
    ]


def _import_round(folder: Path, path: Path, rows: int) -> dict[str, float]:
    engine = _fresh_engine(folder)
    found = {"text": _copy_alone(engine, path, {}), "typed": _copy_alone(engine, path, TYPES)}
    for name in ("empty", "full"):
        measured = _measured("import", str(folder / "home"), str(path))
        found |= {f"{name}_{key}": value for key, value in measured.items()}
        _check_count(engine, rows)
    engine.dispose()
    return found


def read_speed(rows: int) -> list[dict[str, Any]]:
    """Read stored opportunities into a frame; Polars reads what COPY TO gives of the same columns."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        engine = _fresh_engine(Path(folder))
        with unit_of_work(engine) as session:
            copy_frame(session, Opportunity.metadata.tables["opportunity"], stored_opportunities(rows))
        _check_count(engine, rows)
        with Session(engine) as session:
            yardstick = statistics.median(_seconds(lambda: _read_by_copy(session)) for _ in range(TIMES))
        found = [_measured("read", str(Path(folder) / "home")) for _ in range(TIMES)]
        engine.dispose()
    return [
        {
            "task": f"read {rows:,} opportunities into a frame",
            **sorted(found, key=lambda one: one["seconds"])[TIMES // 2],
            "yardstick": "COPY TO, read by Polars",
            "yardstick_seconds": yardstick,
        }
    ]


def snapshot_speed(rows: int) -> list[dict[str, Any]]:
    """Take a snapshot of opportunities with ten changes each; the yardstick is ten snapshots of a tenth of them."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        _fresh_engine(Path(folder)).dispose()
        home = str(Path(folder) / "home")
        tenth = [_measured("snapshot", home, str(rows // 10))["seconds"] for _ in range(TIMES)]
        return [
            {
                "task": f"snapshot of {rows:,} opportunities with {10 * rows:,} changes",
                **_measured("snapshot", home, str(rows)),
                "yardstick": "ten of a tenth of the size",
                "yardstick_seconds": 10 * statistics.median(tenth),
            }
        ]


SPEED: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "import": import_speed,
    "read": read_speed,
    "snapshot": snapshot_speed,
}


def _measured(*task: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.tasks", *task]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(task)} failed: {ended.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def synthetic_opportunities(count: int) -> pl.DataFrame:
    """Make opportunities as a CRM exports them: 20 columns, of which five are custom fields."""
    random = np.random.default_rng(SEED)
    index = pl.int_range(count, eager=True)
    created = _moments(random.integers(0, 900, count))
    outcome = pl.Series(random.choice(["won", "lost", ""], count, p=[0.3, 0.5, 0.2])).replace("", None)
    closed = _moments(random.integers(900, 1000, count))
    return pl.DataFrame(
        {
            "id": "O" + index.cast(pl.String),
            "name": "Offer " + index.cast(pl.String),
            "created_at": created.dt.to_string("%Y-%m-%dT%H:%M:%S"),
            "closed_at": closed.dt.to_string("%Y-%m-%dT%H:%M:%S").set(outcome.is_null(), None),
            "outcome": outcome,
            "amount": random.lognormal(9, 1, count).round(2),
            "currency": _choice(random, count, ["EUR", "USD"]),
            "owner": _some(random, count, "person", 60),
            "account": _some(random, count, "account", 20_000),
            "product": _some(random, count, "product", 40),
            "source": _choice(random, count, ["web", "fair", "partner", "referral"]),
            "type": _choice(random, count, ["new business", "renewal"]),
            "stage": _choice(random, count, ["qualification", "proposal", "negotiation"]),
            "expected_close_on": _moments(random.integers(900, 1000, count)).dt.date().cast(pl.String),
            "next_step": _choice(random, count, ["call", "visit, with the engineer", 'send "final" price']),
            "competitor": _some(random, count, "rival", 8),
            "seats": random.integers(1, 500, count),
            "contract_months": _choice(random, count, ["12", "24", "36"]),
            "budget_approved": _choice(random, count, ["true", "false"]),
            "segment": _choice(random, count, ["small", "middle", "large"]),
        }
    )


def stored_opportunities(count: int) -> pl.DataFrame:
    """Give the same opportunities in the columns of the table."""
    frame = synthetic_opportunities(count)
    return frame.select(
        pl.col("id"),
        pl.col("id").alias("external_id"),
        pl.col("outcome").fill_null("open").alias("status"),
        *(pl.col(name).alias(f"{name}_id") for name in ("owner", "account", "product")),
        *(pl.col(name) for name in frame.columns if name in Opportunity.__table__.columns and name != "id"),
        pl.struct(CUSTOM).struct.json_encode().alias("custom"),
    )


def _moments(days: NDArray[np.int64]) -> pl.Series:
    return pl.Series(np.datetime64("2023-01-01", "D") + days.astype("timedelta64[D]")).cast(pl.Datetime("us"))


def _choice(random: np.random.Generator, count: int, words: list[str]) -> pl.Series:
    return pl.Series(random.choice(words, count))


def _some(random: np.random.Generator, count: int, word: str, most: int) -> pl.Series:
    return f"{word} " + pl.Series(random.integers(0, most, count)).cast(pl.String)


def _fresh_engine(folder: Path) -> sa.Engine:
    engine = open_engine(Settings(home=folder / "home"))
    migrate(engine)
    return engine


def _copy_alone(engine: sa.Engine, path: Path, types: Mapping[str, str]) -> float:
    """Load a file into a bare table, and drop it again; give the seconds of the loading."""
    columns = ", ".join(f'"{name}" {types.get(name, "text")}' for name in pl.read_csv(path, n_rows=0).columns)
    begun = time.perf_counter()
    with unit_of_work(engine) as session:
        session.execute(sa.text(f"CREATE TABLE bare ({columns})"))
        with _cursor(session).copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as copy, path.open("rb") as file:
            while block := file.read(1 << 20):
                copy.write(block)
    seconds = time.perf_counter() - begun
    with unit_of_work(engine) as session:
        session.execute(sa.text("DROP TABLE bare"))
    return seconds


def _read_by_copy(session: Session) -> pl.DataFrame:
    buffer = io.BytesIO()
    with _cursor(session).copy("COPY opportunity TO STDOUT (FORMAT csv, HEADER)") as copy:
        for block in copy:
            buffer.write(block)
    buffer.seek(0)
    return pl.read_csv(buffer)


def _cursor(session: Session) -> Any:
    connection: Any = session.connection().connection.driver_connection
    return connection.cursor()


def _check_count(engine: sa.Engine, rows: int) -> None:
    with Session(engine) as session:
        found = session.scalar(sa.select(sa.func.count()).select_from(Opportunity))
    if found != rows:
        raise RuntimeError(f"{found} opportunities are stored, expected {rows}; the measured task did not do its work")


def _seconds(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started
