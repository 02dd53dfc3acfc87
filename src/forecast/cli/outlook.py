"""forecast outlook."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from forecast.cli.phrases import print_notes, say
from forecast.cli.screen import AsOf, console, moment_of, writable
from forecast.errors import InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.revenue.questions import Period
    from forecast.series.outlook import Outlook
    from forecast.series.reading import SeriesFile


def outlook(
    horizon: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Periods to forecast; of records months, the current one included."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(callback=writable, help="CSV or Parquet of means and ranges to write.")
    ] = None,
    series: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of unique_id, ds, y and level columns. Default: the records.")
    ] = None,
    season: Annotated[int | None, typer.Option(min=1, help="Periods of a season; default by frequency.")] = None,
    levels: Annotated[str | None, typer.Option(help="Columns that series add up by, with commas between.")] = None,
    future: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of inputs known ahead: ds, unique_id, numbers; past and future.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Two letters, such as CN or DE, whose public holidays count.")
    ] = None,
    periods: Annotated[
        str | None, typer.Option(help="Longer periods to add up to, with commas between: month, quarter, year.")
    ] = None,
    draws: Annotated[
        Path | None, typer.Option(callback=writable, help="Parquet of equally likely futures to write besides.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of records: a level (team, person, region, product), or a unit by id or name.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Of records in several currencies, the one that counts.")] = None,
    as_of: AsOf = None,
) -> None:
    """Forecast revenue by month from records, or series of one's own: means, ranges, and totals that parts add up to."""
    settings = read_settings()
    if series is None:
        from forecast.cli.revenue import outlook_of_records

        _refuse_options_of_series(season=season, levels=levels, future=future, country=country)
        _check_endings(out, draws)
        outlook_of_records(
            settings,
            horizon=horizon,
            unit=unit,
            currency=currency,
            as_of=as_of,
            out=out,
            draws=draws,
            periods=_longer_than_months(periods),
        )
        return
    if horizon is None or out is None:
        raise InputError("--series needs --horizon, the periods to forecast, and --out, the file to write")

    from forecast.series.forecasting import forecast_series
    from forecast.series.reading import read_series
    from forecast.series.writing import draws_frame, longer_frames, outlook_frame, write_table

    today = moment_of(as_of, settings).astimezone(ZoneInfo(settings.timezone)).date()
    columns, longer = _listed(levels), _listed(periods)
    _check_endings(out, draws)
    found = read_series(series, levels=columns, season=season, today=today, as_of=None if as_of is None else today)
    print_notes(*found.remarks)
    count = 1000 if draws or longer else 0
    done = forecast_series(found, columns, horizon, source=series, future=future, country=country, draws_count=count)
    print_notes(*done.remarks)
    if longer:
        frame, drawn = longer_frames(done.outlook, done.hierarchy, longer)
    else:
        frame = outlook_frame(done.outlook, done.hierarchy)
        drawn = draws_frame(done.outlook, frame) if draws else None
    write_table(frame, out)
    if draws is not None and drawn is not None:
        write_table(drawn, draws)
    _print_what_was_done(found, done.outlook, horizon, out)


def _longer_than_months(text: str | None) -> "list[Period] | None":
    """Give the longer periods of months that are named; None where none is."""
    named = list(dict.fromkeys(_listed(text)))
    for name in named:
        if name not in {"quarter", "year"}:
            raise InputError(f'--periods "{name}" is no longer period; choose of quarter, year')
    return named or None  # type: ignore[return-value]  # checked


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _refuse_options_of_series(**given: object) -> None:
    named = [f"--{name}" for name, value in given.items() if value is not None]
    if named:
        raise InputError(f"{' and '.join(named)} goes with --series; the records are forecast by month and by unit")


def _check_endings(out: Path | None, draws: Path | None) -> None:
    if out is not None and out.suffix.lower() not in {".csv", ".parquet"}:
        raise InputError(f"--out {out} ends in neither .csv nor .parquet; choose one of them")
    if draws is not None and draws.suffix.lower() != ".parquet":
        raise InputError(f"--draws {draws} does not end in .parquet; draws are lists, which CSV can't hold")


def _print_what_was_done(found: "SeriesFile", result: "Outlook", horizon: int, out: Path) -> None:
    calendar, panel, lengths = found.panel.calendar, result.panel, sorted(result.panel.lengths)
    span = say("season {periods}", periods=found.panel.season) if found.panel.season > 1 else say("no season")
    first, last = calendar.day(int(panel.ends.max()) + 1), calendar.day(int(panel.ends.max()) + horizon)
    totals = len(panel.ids) - len(found.panel.ids)
    nodes = say("{count} series", count=len(found.panel.ids)) + (
        say(" and {count} totals", count=totals) if totals else ""
    )
    told = "{nodes}, {calendar}, {span}: {first} to {last} into {path}"
    console.print(say(told, nodes=nodes, calendar=say(calendar.name), span=span, first=first, last=last, path=out))
    if found.partial is not None:
        told = "the period of {day} is not over: it is forecast, and counts as no history"
        console.print(say(told, day=found.partial[0]))
    if result.trials_count:
        told = "ranges as wide as errors were in {count} forecasts from earlier origins"
        console.print(say(told, count=result.trials_count))
    else:
        print_notes("too little history to test forecasts on: the ranges are assumed, not measured")
    if lengths[len(lengths) // 2] < panel.season * 2:
        print_notes("less than two seasons of history: the seasonal pattern is uncertain")
