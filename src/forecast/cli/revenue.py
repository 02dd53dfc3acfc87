"""forecast outlook from the records, and forecast train revenue_forecast."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
from rich.box import SIMPLE
from rich.table import Table

from forecast.cli.forecast_accuracy import REVENUE_MODEL
from forecast.cli.phrases import print_notes, say
from forecast.cli.revenue_tables import outlook_tables
from forecast.cli.screen import console, now, opened, output, past_moment_of
from forecast.cli.training import told
from forecast.errors import InputError
from forecast.revenue.cells import LEVELS, RevenueForecast
from forecast.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.orm import Session

    from forecast.metrics import Floats
    from forecast.revenue.questions import Period
    from forecast.revenue.records import Sales
    from forecast.targets.attainment import Attainment
    from training.release import Release
    from training.revenue import RevenueRun

WIN_MODEL = "win_probability"
TARGET_TYPES = pl.Schema(
    {
        "level": pl.String(),
        "unit_id": pl.String(),
        "starts_on": pl.Date(),
        "ends_on": pl.Date(),
        **dict.fromkeys(("target", "attained", "chance", "expected_shortfall"), pl.Float64()),
    }
)
WHO = {
    "blend": "the forecast",
    "parts": "its parts alone",
    "series": "time series alone",
    "weighted": "weighted pipeline",
    "naive": "seasonal naive",
}


def outlook_of_records(
    settings: Settings,
    *,
    horizon: int | None,
    unit: str | None,
    currency: str | None,
    as_of: str | None,
    out: Path | None,
    draws: Path | None,
    periods: "Sequence[Period] | None" = None,
) -> None:
    """Forecast revenue from the records, keep the run, and print it or write it.

    Args:
        periods: longer than months, shown and written besides; quarters are shown where it is missing.
    """
    from forecast.revenue.forecasting import HORIZON
    from forecast.runs import keep_forecast
    from forecast.runs.outlook import outlook_rows
    from forecast.store import unit_of_work

    moment = past_moment_of(as_of, settings)
    with opened(settings) as engine:
        forecast = forecast_records(engine, settings, moment, horizon=horizon or HORIZON, currency=currency, unit=unit)
        shown = _asked(forecast.cells, unit)
        _refuse_cut_off(forecast.cells["month"].unique().to_list(), periods or ())
        run = keep_forecast(engine, forecast, now=now(), timezone=settings.timezone)
        with unit_of_work(engine) as session:
            deals = _deals(session, run, forecast)
            rows = outlook_rows(_cells(session, run, shown), deals, periods or ("quarter",))
            attainments = _attainments(session, forecast, rows, settings)
    print_notes(*forecast.remarks)
    if out is not None or draws is not None:
        written = long_table(rows, attainments, periods)
        if out is not None:
            _write(written.drop("draws"), out)
        if draws is not None:
            _write(written.select("level", "unit_id", "month", *(["period"] if periods else []), "draws"), draws)
    for table in outlook_tables(rows, deals, forecast.currency, attainments=attainments):
        output.print(table)
    console.print(say("kept as run {run}, of version {version}", run=run, version=forecast.version or say("none")))


def _refuse_cut_off(months: "Sequence[date]", periods: "Sequence[Period]") -> None:
    """Refuse a longer period of which no last month is forecast."""
    from forecast.revenue.questions import MONTHS_IN

    for period in periods:
        if all(month.month % MONTHS_IN[period] for month in months):
            raise InputError(
                f"{len(months)} periods ahead hold no whole {period}; give a longer --horizon or no --periods {period}"
            )


def _deals(session: "Session", run_id: int, forecast: RevenueForecast) -> pl.DataFrame:
    """Read the open deals that a forecast saw, those in its currency."""
    from forecast.revenue.currencies import of_currency
    from forecast.runs.deals import read_kept_deals

    deals = read_kept_deals(session, run_id)
    return of_currency(deals, forecast.currency, deals["currency"])


def _cells(session: "Session", run_id: int, shown: pl.DataFrame) -> pl.DataFrame:
    """Read back what was kept of some units, with the months before."""
    from forecast.runs import read_cells

    units = shown.select("level", "unit_id").unique()
    level, unit_id = units.row(0) if units.height == 1 else (None, None)
    cells = read_cells(session, run_id, level=level, unit_id=unit_id)
    return cells.join(units, on=["level", "unit_id"], how="semi", maintain_order="left")


def _attainments(
    session: "Session", forecast: RevenueForecast, rows: pl.DataFrame, settings: Settings
) -> "list[Attainment]":
    """Judge the targets that have a day from the forecast's to its last, in its currency."""
    from forecast.targets.quotas import read_targets
    from forecast.targets.reading import read_attainments

    first, last = forecast.as_of.astimezone(ZoneInfo(settings.timezone)).date(), max(rows["ends_on"].to_list())
    if not read_targets(session, first, last):
        return []  # what targets are judged by takes long to read
    found = read_attainments(
        session, first, last, as_of=forecast.as_of, timezone=settings.timezone, currency=forecast.currency
    )
    return [
        one
        for one in found.attainments
        if one.attained is not None and one.target.currency in {None, forecast.currency}
    ]


def long_table(
    rows: pl.DataFrame, attainments: "Sequence[Attainment]", periods: "Sequence[Period] | None"
) -> pl.DataFrame:
    """Give what is written: months, with `period` the longer ones besides where they were asked for; a target beside its own period."""
    targets = pl.DataFrame([_target_row(found) for found in attainments], schema=TARGET_TYPES, orient="row")
    keys = TARGET_TYPES.names()[:4]
    joined = rows.join(targets.unique(keys, keep="first"), on=keys, how="left", maintain_order="left")
    named = joined.rename({"starts_on": "month"}).drop("ends_on").select(pl.exclude("draws"), "draws")
    return named if periods else named.filter(period="month").drop("period")


def _target_row(found: "Attainment") -> tuple[object, ...]:
    target, outlook = found.target, found.outlook
    judged = (None, None) if outlook is None else (outlook.probability, outlook.shortfall)
    return (target.level, target.unit_id, target.starts_on, target.ends_on, target.amount, found.attained, *judged)


def forecast_records(
    engine: "sa.Engine", settings: Settings, moment: datetime, *, horizon: int, currency: str | None, unit: str | None
) -> RevenueForecast:
    """Forecast by the live version of revenue_forecast; by the usual weights where none is live.

    Where a version of win_probability is live that knew nothing later than the moment, its win curve says by when open
    opportunities are won. A unit that there is none of is refused before anything is forecast.
    """
    from forecast.registry import find_live, get_live_version
    from forecast.revenue.forecasting import forecast_revenue, forecast_units
    from forecast.revenue.records import read_sales
    from forecast.revenue_records import read_sales_records
    from forecast.store import unit_of_work

    version = None
    if find_live(settings.models_folder, REVENUE_MODEL) is not None:
        version = get_live_version(settings.models_folder, REVENUE_MODEL)
    with unit_of_work(engine) as session:
        records = read_sales_records(session, timezone=settings.timezone)
    sales = read_sales(records, moment, currency=currency)
    _asked(forecast_units(sales, records.names), unit)
    return forecast_revenue(
        sales,
        model=None if version is None else version.estimator,
        version=None if version is None else version.version,
        names=records.names,
        horizon=horizon,
        won_by=_won_by(sales, settings, horizon),
    )


def _won_by(sales: "Sales", settings: Settings, horizon: int) -> "Floats | None":
    """Ask the live win curve; None where there is none, or where it was learnt later than the moment."""
    from forecast.registry import find_live, get_live_version
    from forecast.revenue.records import months_ahead
    from forecast.scoring.closings import has_win_curve, won_by_days

    if find_live(settings.models_folder, WIN_MODEL) is None:
        return None
    version = get_live_version(settings.models_folder, WIN_MODEL)
    later = datetime.fromisoformat(version.bundle["until"]) > sales.as_of
    if version.basis != "own" or later or not has_win_curve(version):
        return None
    moment = pl.lit(sales.as_of).cast(pl.Datetime("us", "UTC"))
    subjects = sales.open_deals.select("opportunity_id", moment.alias("as_of"))
    return won_by_days(sales.history, version, subjects, months_ahead(sales.as_of, horizon, sales.timezone).ends_days)


def _asked(cells: pl.DataFrame, unit: str | None) -> pl.DataFrame:
    """Give the rows of a level, or of a unit by its id or name; of all where none is asked for."""
    if unit is None:
        return cells
    wanted = unit.strip().lower()
    same = (pl.col("unit_id").str.to_lowercase() == wanted) | (pl.col("unit_name").str.to_lowercase() == wanted)
    found = cells.filter((pl.col("level") == wanted) | same)
    if found.is_empty():
        levels = ", ".join(level for level in LEVELS if level in cells["level"])
        raise InputError(f'--unit is "{unit}", which is no unit; give a level, {levels}, or a unit by its id or name')
    return found


def _write(cells: pl.DataFrame, path: Path) -> None:
    from forecast.series.writing import write_table

    write_table(cells, path)
    console.print(say("{count} rows into {path}", count=cells.height, path=path))


def train_revenue_forecast(
    settings: Settings,
    *,
    until: datetime,
    currency: str | None,
    origins: int | None,
    promote: bool,
    models: Path,
) -> "Release[RevenueRun]":
    """Train the revenue forecast on what was known at a moment, and print what was found.

    Args:
        origins: earlier moments to forecast from, instead of the experiment's.
    """
    from training.revenue import train_and_register_revenue
    from training.revenue_config import read_revenue_experiment

    experiment = read_revenue_experiment(models, REVENUE_MODEL)
    if origins is not None:
        experiment = replace(experiment, data=replace(experiment.data, origins=origins))
    with opened(settings) as engine, console.status(told("reading records")) as status:
        release = train_and_register_revenue(
            engine,
            settings,
            experiment,
            models=models,
            until=until,
            now=now(),
            currency=currency,
            promote=promote,
            step=lambda name: status.update(told(name)),
        )
    _print_figures(release.run, experiment.gates.judged_months)
    return release


def _print_figures(run: "RevenueRun", judged_months: int) -> None:
    print_notes(*run.warnings)
    if run.metrics:
        judged = say("the first {months} months, from earlier moments", months=judged_months)
        table = Table(judged, say("absolute error"), say("bias"), box=SIMPLE)
        for name, said in WHO.items():
            if f"{name}_absolute_error" in run.metrics:
                table.add_row(
                    say(said), *(f"{run.metrics[f'{name}_{figure}']:.1%}" for figure in ("absolute_error", "bias"))
                )
        output.print(table)
