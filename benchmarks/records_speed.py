"""Measure what forecasts, targets and changes from records take, as ratios against reading the same records into frames.

The company is simulated; every command runs as its user runs it, and its processor time and peak of memory are told by the system.
`python -m benchmarks.records_speed WHAT HOME ROWS` is what runs in processes of its own.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.demo import simulate_company, write_export
from forecast.records import Activity, Change, Opportunity, Order, OrderLine
from forecast.settings import Settings
from forecast.store import open_engine, read_frame

NOW = datetime(2026, 11, 15, tzinfo=UTC)
SEED = 6
SHARE = 5
"""One opportunity for so many rows asked for: each has eight changes, and orders besides."""
REGULARS_SHARE = 20
FORECAST = ("-c", "from forecast.cli import main; main()")
READ = (Opportunity, Change, Order, OrderLine, Activity)
COMMANDS = (
    ("train", "revenue_forecast", "--as-of", "2026-08-10"),
    ("outlook", "--as-of", "2026-08-10", "--unit", "company"),
    ("outlook", "--as-of", "2026-11-15", "--unit", "company"),
    ("targets", "--as-of", "2026-11-15"),
    ("changes", "--from", "2026-08-10", "--to", "2026-11-15"),
    ("accuracy", "revenue_forecast", "--as-of", "2026-11-15"),
)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Processor seconds and the peak of memory of a process."""

    seconds: float
    peak_mib: float


def revenue_records_speed(rows: int) -> list[dict[str, Any]]:
    """Import a simulated company, read all of its records, and ask every question that a manager asks."""
    count = rows // SHARE
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        home = Path(folder)
        _taken(home, "-m", "benchmarks.records_speed", "simulate", str(home), str(count))
        _taken(home, *FORECAST, "import", str(home / "export"))
        yardstick = _taken(home, "-m", "benchmarks.records_speed", "read", str(home), str(count))
        found = {" ".join(command): _taken(home, *FORECAST, *command) for command in COMMANDS}
    return [
        {
            "task": f"`forecast {command}` with {count:,} opportunities, processor time",
            "seconds": taken.seconds,
            "peak_mib": taken.peak_mib,
            "yardstick": "all records read into frames",
            "yardstick_seconds": yardstick.seconds,
        }
        for command, taken in found.items()
    ]


RECORDS_SPEED: dict[str, Callable[[int], list[dict[str, Any]]]] = {"revenue_records": revenue_records_speed}


def _taken(home: Path, *arguments: str) -> Taken:
    """Run a Python process to its end; the database's own processor time is not counted."""
    log = home / "bench.log"
    # A bench must never touch the database that a developer's own settings name.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORECAST_")}
    with log.open("wb") as said:
        files = [(os.POSIX_SPAWN_DUP2, said.fileno(), 1), (os.POSIX_SPAWN_DUP2, said.fileno(), 2)]
        command = [sys.executable, "-W", "ignore", *arguments]
        process = os.posix_spawn(command[0], command, environment | {"FORECAST_HOME": str(home)}, file_actions=files)
        _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(arguments)} failed: {log.read_text(errors='replace')[-2000:]}")
    return Taken(seconds=usage.ru_utime + usage.ru_stime, peak_mib=usage.ru_maxrss / 1024)


def _simulate(home: Path, count: int) -> None:
    company = simulate_company(SEED, NOW, opportunities=count, regulars=count // REGULARS_SHARE)
    write_export(company, home / "export")


def _read(home: Path, count: int) -> None:
    with Session(open_engine(Settings(home=home))) as session:
        found = [read_frame(session, sa.select(table.__table__)) for table in READ]
    if found[0].height != count:
        raise RuntimeError(f"{found[0].height} opportunities are stored, expected {count}")


if __name__ == "__main__":
    {"simulate": _simulate, "read": _read}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
