"""Keep forecasts in the database, and read them again; one that is kept is never changed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from forecast.errors import NotFoundError
from forecast.records import ForecastCell, ForecastOpportunity, ForecastRun, Table
from forecast.revenue.cells import BOUNDS, CELL_TYPES, RevenueForecast, check_cells
from forecast.revenue_records import read_deal_records
from forecast.runs.booked import find_bookings, sum_bookings
from forecast.runs.deals import KEPT, read_deals
from forecast.store import as_csv, copy_frame, read_frame, unit_of_work

MONTHS_BEFORE = 12
_COLUMNS = {name: name.replace("-", "_") for name in BOUNDS}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A kept forecast without its cells; `version` is None where none was live."""

    id: int
    version: str | None
    as_of: datetime
    currency: str | None
    remarks: tuple[str, ...]
    kept_at: datetime


def keep_forecast(
    engine: sa.Engine,
    forecast: RevenueForecast,
    *,
    now: datetime,
    timezone: str,
    probabilities: pl.DataFrame | None = None,
) -> int:
    """Keep a forecast with the opportunities that were open at its moment, and with what was booked in the year before.

    The same numbers as of the same moment are kept once; other numbers, as after a late import, are a run of their own
    beside the earlier one.

    Args:
        engine: of the database.
        forecast: as it was made.
        now: when it is kept.
        timezone: of days and months.
        probabilities: `opportunity_id, win_probability` that the forecast was made of; by default the newest scores.

    Returns:
        The run's number.

    Raises:
        InputError: the cells are not what a revenue forecast holds, such as parts that don't add up.
    """
    with unit_of_work(engine) as session:
        records = read_deal_records(session, timezone=timezone)
        booked = sum_bookings(find_bookings(records, forecast.as_of, currency=forecast.currency))
        rows = _as_rows(pl.concat([_months_before(forecast.cells, booked), check_cells(forecast.cells)]))
        digest = hashlib.sha256(as_csv(rows)).hexdigest()
        run_id = _add_run(session, forecast, digest=digest, now=now)
        if run_id is None:
            return _known_run(session, forecast, digest)
        _copy(session, ForecastCell, rows, run_id)
        deals = read_deals(session, records, forecast.as_of).filter(pl.col("status") == "open")
        if probabilities is not None:
            scored = probabilities.select("opportunity_id", "win_probability")
            deals = deals.drop("win_probability").join(scored, on="opportunity_id", how="left", maintain_order="left")
        _copy(session, ForecastOpportunity, deals.select(*KEPT, "win_probability"), run_id)
    return run_id


def _months_before(cells: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """Give cells of the MONTHS_BEFORE months before the first, from the first that anything was booked in; without draws."""
    first = pl.lit(cells["month"].min())
    recent = booked.filter(
        pl.col("month") < first,
        pl.col("month") >= first.dt.offset_by(f"-{MONTHS_BEFORE}mo"),
        pl.col("level").is_in(cells["level"].unique().implode()),
    )
    if recent.is_empty():
        return cells.clear()
    names = cells.select("level", "unit_id", "unit_name").unique(maintain_order=True)
    units = pl.concat([names.drop("unit_name"), recent.select("level", "unit_id")]).unique(maintain_order=True)
    months = recent.select(
        pl.date_range(pl.col("month").min(), first.dt.offset_by("-1mo"), interval="1mo").alias("month")
    )
    filled = (
        units.join(months, how="cross")
        .join(recent, on=["level", "unit_id", "month"], how="left", maintain_order="left")
        .join(names, on=["level", "unit_id"], how="left", maintain_order="left")
        .with_columns(pl.col("won").fill_null(0), pl.col("unit_name").fill_null(pl.col("unit_id")))
    )
    values = {name: pl.lit(0.0) for name in ("open", "new")} | {"draws": pl.lit([], pl.List(pl.Float32))}
    known = {name: pl.col("won") for name in ("series", "mean", *BOUNDS)}
    return filled.with_columns(**values, **known).select(CELL_TYPES.names())


def _as_rows(cells: pl.DataFrame) -> pl.DataFrame:
    """Give cells as the table has them, draws as PostgreSQL writes an array."""
    numbers = pl.col("draws").list.eval(pl.element().cast(pl.String)).list.join(",")
    return cells.with_columns(pl.concat_str(pl.lit("{"), numbers, pl.lit("}")).alias("draws")).rename(_COLUMNS)


def _add_run(session: Session, forecast: RevenueForecast, *, digest: str, now: datetime) -> int | None:
    """Add a run, and give its number; None where the same one is kept already."""
    values = {
        "version": forecast.version,
        "as_of": forecast.as_of,
        "currency": forecast.currency,
        "remarks": list(forecast.remarks),
        "digest": digest,
        "kept_at": now,
    }
    added = insert(ForecastRun).values(values).on_conflict_do_nothing().returning(ForecastRun.id)
    return session.scalar(added)


def _known_run(session: Session, forecast: RevenueForecast, digest: str) -> int:
    same = (ForecastRun.as_of == forecast.as_of, ForecastRun.digest == digest)
    version = ForecastRun.version.is_not_distinct_from(forecast.version)
    return session.scalars(sa.select(ForecastRun.id).where(*same, version)).one()


def _copy(session: Session, table: type[Table], rows: pl.DataFrame, run_id: int) -> None:
    copy_frame(session, Table.metadata.tables[table.__tablename__], rows.with_columns(run_id=pl.lit(run_id)))


def list_runs(session: Session, *, until: datetime | None = None) -> list[Run]:
    """List the kept runs as of moments up to one, newest first; of one moment, the one that was kept last."""
    statement = sa.select(ForecastRun).order_by(ForecastRun.as_of.desc(), ForecastRun.id.desc())
    if until is not None:
        statement = statement.where(ForecastRun.as_of <= until)
    return [_run(row) for row in session.scalars(statement)]


def find_run(session: Session, *, until: datetime | None, currency: str | None = None) -> Run | None:
    """Find the newest run as of a moment up to one, in a currency where one is named; None where none was kept."""
    runs = list_runs(session, until=until)
    return next((run for run in runs if currency in {None, run.currency}), None)


def get_run(session: Session, run_id: int) -> Run:
    """Read a run by its number.

    Raises:
        NotFoundError: there is none of it.
    """
    found = session.get(ForecastRun, run_id)
    if found is None:
        numbers = ", ".join(str(run.id) for run in list_runs(session)[:5]) or "none"
        raise NotFoundError(f"there is no forecast {run_id}; the newest are: {numbers}")
    return _run(found)


def get_newest_run(session: Session, *, until: datetime | None = None, currency: str | None = None) -> Run:
    """Give the newest run as of a moment up to one, in a currency where one is named.

    Raises:
        NotFoundError: none was kept.
    """
    found = find_run(session, until=until, currency=currency)
    if found is None and currency is not None:
        raise NotFoundError(
            f"no revenue forecast in {currency} is kept by then; `forecast outlook` makes and keeps one"
        )
    if found is None:
        of = "" if until is None else f" as of {until.isoformat()} or before"
        raise NotFoundError(f"no revenue forecast{of} is kept; `forecast outlook` makes and keeps one")
    return found


def _run(row: ForecastRun) -> Run:
    return Run(
        id=row.id,
        version=row.version,
        as_of=row.as_of,
        currency=row.currency,
        remarks=tuple(row.remarks),
        kept_at=row.kept_at,
    )


def read_cells(session: Session, run_id: int, *, level: str | None = None, unit_id: str | None = None) -> pl.DataFrame:
    """Read the cells of a run, of one level or unit where one is named.

    Returns:
        As `revenue.cells.CELL_TYPES`, by level, unit and month, with the months before the run's own, whose revenue is known:
        they have no draws.
    """
    table = Table.metadata.tables[ForecastCell.__tablename__]
    statement = sa.select(*(table.c[_COLUMNS.get(name, name)] for name in CELL_TYPES)).where(table.c.run_id == run_id)
    if level is not None:
        statement = statement.where(table.c.level == level)
    if unit_id is not None:
        statement = statement.where(table.c.unit_id == unit_id)
    rows = read_frame(session, statement.order_by(table.c.level, table.c.unit_id, table.c.month))
    draws = pl.col("draws").str.strip_chars("{}").str.split(",").list.eval(pl.element().filter(pl.element() != ""))
    return (
        rows.rename({column: name for name, column in _COLUMNS.items()})
        .with_columns(draws.list.eval(pl.element().cast(pl.Float32)))
        .cast(CELL_TYPES)
    )
