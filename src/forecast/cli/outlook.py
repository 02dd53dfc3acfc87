"""forecast outlook."""

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from forecast.cli.screen import AsOf, console, moment_of, opened
from forecast.errors import InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from forecast.series.hierarchy import Hierarchy
    from forecast.series.outlook import Outlook
    from forecast.series.reading import SeriesFile


def outlook(
    horizon: Annotated[int, typer.Option(min=1, help="Periods to forecast.")],
    out: Annotated[Path, typer.Option(help="CSV or Parquet of means and ranges to write.")],
    series: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of unique_id, ds, y and level columns. Default: the records.")
    ] = None,
    season: Annotated[int | None, typer.Option(min=1, help="Periods of a season; default by frequency.")] = None,
    levels: Annotated[str | None, typer.Option(help="Columns that series add up by, with commas between.")] = None,
    future: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of inputs known ahead: ds, unique_id, numbers; past and future.")
    ] = None,
    draws: Annotated[Path | None, typer.Option(help="Parquet of equally likely futures to write besides.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of records in several currencies, the one that counts.")] = None,
    as_of: AsOf = None,
) -> None:
    """Forecast revenue by month from records, or series of one's own: means, ranges, and totals that parts add up to."""
    from forecast.series.reading import read_series
    from forecast.series.writing import draws_frame, outlook_frame, write_table

    settings = read_settings()
    moment = moment_of(as_of, settings)
    columns = [name.strip() for name in (levels or "").split(",") if name.strip()]
    _check_endings(out, draws)
    if series is None:
        if columns:
            raise InputError("--levels goes with --series; records add up by team")
        columns = ["team"]
        with opened(settings) as engine:
            found = series_of_records(engine, moment, season=season, currency=currency, timezone=settings.timezone)
    else:
        found = read_series(series, levels=columns, season=season, today=moment.date())
    for remark in found.remarks:
        console.print(f"[yellow]note:[/yellow] {escape(remark)}")
    hierarchy, result = _outlook(
        found, columns, horizon, series=series, future=future, draws_count=1000 if draws else 0
    )
    frame = outlook_frame(result, hierarchy)
    write_table(frame, out)
    if draws is not None:
        write_table(draws_frame(result, frame), draws)
    _print_what_was_done(found, result, horizon, out)


def _check_endings(out: Path, draws: Path | None) -> None:
    if out.suffix.lower() not in {".csv", ".parquet"}:
        raise InputError(f"--out {out} ends in neither .csv nor .parquet; choose one of them")
    if draws is not None and draws.suffix.lower() != ".parquet":
        raise InputError(f"--draws {draws} does not end in .parquet; draws are lists, which CSV can't hold")


def series_of_records(
    engine: "Engine", moment: datetime, *, season: int | None, currency: str | None, timezone: str
) -> "SeriesFile":
    """Read what each person booked each month, with their teams, as series."""
    import sqlalchemy as sa

    from forecast.records import Opportunity, Order, Person
    from forecast.rollup import booked_revenue, monthly_revenue
    from forecast.series.reading import series_of
    from forecast.store import read_frame, unit_of_work

    order, won = Order.__table__.c, Opportunity.__table__.c
    with unit_of_work(engine) as session:
        orders = read_frame(
            session, sa.select(order.owner_id, order.ordered_at, order.amount, order.currency, order.status)
        )
        closed = sa.select(won.owner_id, won.closed_at, won.amount, won.won_amount, won.currency, won.status)
        opportunities = read_frame(session, closed.where(won.status == "won"))
        people = read_frame(session, sa.select(Person.__table__.c.id, Person.__table__.c.team_id))
    booked, source = booked_revenue(orders, opportunities, as_of=moment, currency=currency)
    rows = monthly_revenue(booked, people, as_of=moment, timezone=timezone)
    console.print(
        f"booked revenue is that of {booked.height} {source}; open opportunities are not part of this outlook"
    )
    today = moment.astimezone(ZoneInfo(timezone)).date()
    return series_of(rows, source=Path(source), levels=["team"], season=season, today=today)


def _outlook(
    found: "SeriesFile", columns: list[str], horizon: int, *, series: Path | None, future: Path | None, draws_count: int
) -> "tuple[Hierarchy | None, Outlook]":
    import numpy as np

    from forecast.series.hierarchy import span_hierarchy
    from forecast.series.known_ahead import effects, read_inputs, with_effects, without_effects
    from forecast.series.outlook import outlook_of_hierarchy, outlook_of_series

    panel, factors = found.panel, np.ones((len(found.panel.ids), horizon))
    if future is not None:
        inputs = read_inputs(future, panel, horizon, history=series)
        effect = effects(panel, inputs)
        _print_effects(inputs.names, None if effect is None else effect.mean(axis=0).tolist())
        if effect is not None:
            panel, factors = without_effects(panel, inputs, effect)
    so_far = None
    if found.partial is not None:
        so_far = np.array([found.partial[1].get(name, np.nan) for name in panel.ids]) / factors[:, 0]
    hierarchy = span_hierarchy(found.series, columns, found.totals) if columns else None
    if hierarchy is None:
        result = outlook_of_series(panel, horizon, so_far=so_far, draws_count=draws_count)
    else:
        result = outlook_of_hierarchy(panel, hierarchy, horizon, so_far=so_far)
    return hierarchy, result if future is None else with_effects(result, factors, hierarchy)


def _print_effects(names: tuple[str, ...], effects: list[float] | None) -> None:
    if effects is None:
        console.print(
            f"[yellow]note:[/yellow] {escape(', '.join(names))} explained nothing of later revenue, and is not used"
        )
        return
    found = ", ".join(
        f"{name} {100 * (math.exp(effect) - 1):+.1f} % a unit" for name, effect in zip(names, effects, strict=True)
    )
    console.print(f"known ahead, on average: {escape(found)}")


def _print_what_was_done(found: "SeriesFile", result: "Outlook", horizon: int, out: Path) -> None:
    calendar, panel, lengths = found.panel.calendar, result.panel, sorted(result.panel.lengths)
    span = f"season {found.panel.season}" if found.panel.season > 1 else "no season"
    first, last = calendar.day(int(panel.ends.max()) + 1), calendar.day(int(panel.ends.max()) + horizon)
    totals = len(panel.ids) - len(found.panel.ids)
    nodes = f"{len(found.panel.ids)} series" + (f" and {totals} totals" if totals else "")
    console.print(f"{nodes}, {calendar.name}, {span}: {first} to {last} into {out}")
    if found.partial is not None:
        console.print(f"the period of {found.partial[0]} is not over: it is forecast, and counts as no history")
    if result.trials_count:
        console.print(f"ranges as wide as errors were in {result.trials_count} forecasts from earlier origins")
    else:
        console.print(
            "[yellow]note:[/yellow] too little history to test forecasts on: the ranges are assumed, not measured"
        )
    if lengths[len(lengths) // 2] < panel.season * 2:
        console.print("[yellow]note:[/yellow] less than two seasons of history: the seasonal pattern is uncertain")
