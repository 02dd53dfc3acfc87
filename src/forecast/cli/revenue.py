"""forecast outlook from the records, and forecast train revenue_forecast."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.forecast_accuracy import REVENUE_MODEL
from forecast.cli.phrases import print_notes, say
from forecast.cli.screen import console, moment_of, now, opened, output
from forecast.cli.training import told
from forecast.errors import InputError
from forecast.revenue.cells import BOUNDS, LEVELS, RevenueForecast, draws_of
from forecast.settings import Settings, read_settings
from forecast.wording import Language

if TYPE_CHECKING:
    import sqlalchemy as sa

    from forecast.metrics import Floats
    from forecast.revenue.records import Sales
    from training.release import Release
    from training.revenue import RevenueRun

WIN_MODEL = "win_probability"
UNITS_SHOWN = 15
MONEY_SCALES: Mapping[Language, tuple[tuple[float, str], ...]] = MappingProxyType(
    {"en": ((1e3, "thousands"), (1e6, "millions")), "zh": ((1e4, "thousands"), (1e8, "millions"))}
)
"""In what tables are, so that they fit a terminal of 80 columns: in a step where the largest sum has a thousand of it."""
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
) -> None:
    """Forecast revenue from the records, keep the run, and print it or write it."""
    from forecast.revenue.forecasting import HORIZON
    from forecast.runs import keep_forecast

    moment = moment_of(as_of, settings)
    with opened(settings) as engine:
        forecast = forecast_records(engine, settings, moment, horizon=horizon or HORIZON, currency=currency)
        shown = _asked(forecast.cells, unit)
        run = keep_forecast(engine, forecast, now=now(), timezone=settings.timezone)
    print_notes(*forecast.remarks)
    if out is not None:
        _write(shown.drop("draws"), out)
    if draws is not None:
        _write(shown.select("level", "unit_id", "month", "draws"), draws)
    print_forecast(forecast, shown)
    console.print(say("kept as run {run}, of version {version}", run=run, version=forecast.version or say("none")))


def forecast_records(
    engine: "sa.Engine", settings: Settings, moment: datetime, *, horizon: int, currency: str | None
) -> RevenueForecast:
    """Forecast by the live version of revenue_forecast; by the usual weights where none is live.

    Where a version of win_probability is live that knew nothing later than the moment, its win curve says by when open
    opportunities are won.
    """
    from forecast.registry import find_live, get_live_version
    from forecast.revenue.forecasting import forecast_revenue
    from forecast.revenue.records import read_sales
    from forecast.revenue_records import read_sales_records
    from forecast.store import unit_of_work

    version = None
    if find_live(settings.models_folder, REVENUE_MODEL) is not None:
        version = get_live_version(settings.models_folder, REVENUE_MODEL)
    with unit_of_work(engine) as session:
        records = read_sales_records(session, timezone=settings.timezone)
    sales = read_sales(records, moment, currency=currency)
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
    """Give the cells of a level, or of a unit by its id or name; of all where none is asked for."""
    if unit is None:
        return cells
    wanted = unit.strip().lower()
    same = (pl.col("unit_id").str.to_lowercase() == wanted) | (pl.col("unit_name").str.to_lowercase() == wanted)
    found = cells.filter((pl.col("level") == wanted) | same)
    if found.is_empty():
        levels = ", ".join(level for level in LEVELS if level in cells["level"])
        raise InputError(f'--unit is "{unit}", which is no unit; give a level, {levels}, or a unit by its id or name')
    return found


def print_forecast(forecast: RevenueForecast, cells: pl.DataFrame) -> None:
    """Print months of the company, or of the units that were asked for by name; then each unit's sum over the months."""
    cells, money = _fitting(cells, forecast.currency or "")
    for unit in cells.partition_by("level", "unit_id", maintain_order=True):
        alone = cells.filter(pl.col("level") == unit["level"][0])["unit_id"].n_unique() == 1
        if alone:
            name = unit["unit_name"][0]
            output.print(_months(unit, escape(say("company") if name == "company" else name) + money))
    for level in LEVELS[1:]:
        part = cells.filter(pl.col("level") == level)
        if part["unit_id"].n_unique() > 1:
            months = part["month"].n_unique()
            output.print(_units(part, say("by {level}, {months} months", level=say(level), months=months) + money))


def _fitting(cells: pl.DataFrame, currency: str) -> tuple[pl.DataFrame, str]:
    """Give the cells in a unit that fits a table, and how the title names it."""
    largest = max((float(part["mean"].sum()) for part in cells.partition_by("level", "unit_id")), default=0.0)
    scales = MONEY_SCALES[read_settings().language]
    scale, name = next((step for step in reversed(scales) if largest >= 1_000 * step[0]), (1.0, ""))
    money = (
        say("{unit} of {currency}", unit=say(name), currency=say(currency))
        if name and currency
        else say(currency) or (name and say(name))
    )
    amounts = pl.col("won", "open", "new", "series", "mean", *BOUNDS) / scale
    scaled = cells.with_columns(amounts, pl.col("draws").list.eval(pl.element() / scale))
    return scaled, say(", ") + money if money else ""


def _months(cells: pl.DataFrame, title: str) -> Table:
    table = _table(*map(say, ("month", "won", "open", "new", "series", "forecast", "80 % range")), title=title)
    for row in cells.iter_rows(named=True):
        series = "" if row["series"] is None else _money(row["series"])
        parts = (_money(row[name]) for name in ("won", "open", "new"))
        spread = f"{_money(row['lo-80'])} – {_money(row['hi-80'])}"
        table.add_row(f"{row['month']:%Y-%m}", *parts, series, f"[bold]{_money(row['mean'])}[/bold]", spread)
    table.add_section()
    table.add_row(say("all"), *_sums(cells, series=True))
    return table


def _units(cells: pl.DataFrame, title: str) -> Table:
    table = _table(*map(say, (cells["level"][0], "won", "open", "new", "forecast", "80 % range")), title=title)
    parts = cells.partition_by("unit_id", maintain_order=True)
    parts.sort(key=lambda part: -float(part["mean"].sum()))
    for part in parts[:UNITS_SHOWN]:
        table.add_row(escape(part["unit_name"][0]), *_sums(part, series=False))
    if len(parts) > UNITS_SHOWN:
        table.add_row(say("… and {count} more, in --out", count=len(parts) - UNITS_SHOWN))
    return table


def _sums(cells: pl.DataFrame, *, series: bool) -> list[str]:
    """Sum a unit's months; the range is that of the sums of its futures."""
    low, high = np.quantile(draws_of(cells).sum(axis=0), [0.1, 0.9])
    sums = [_money(float(cells[name].sum())) for name in ("won", "open", "new")]
    if series:
        known = cells["series"].null_count() == 0
        sums.append(_money(float(cells["series"].sum())) if known else "")
    return [*sums, f"[bold]{_money(float(cells['mean'].sum()))}[/bold]", f"{_money(low)} – {_money(high)}"]


def _table(first: str, *names: str, title: str) -> Table:
    numbers = (Column(name, justify="right", no_wrap=True) for name in names)
    return Table(first, *numbers, box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left")


def _money(value: float) -> str:
    return f"{value:,.0f}"


def _write(cells: pl.DataFrame, path: Path) -> None:
    from forecast.series.writing import write_table

    write_table(cells, path)
    console.print(say("{count} rows into {path}", count=cells.height, path=path))


def train_revenue_forecast(
    settings: Settings,
    *,
    as_of: str | None,
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
            until=moment_of(as_of, settings),
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
