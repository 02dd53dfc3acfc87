"""forecast accuracy revenue_forecast."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.phrases import print_notes, say
from forecast.cli.screen import output, transaction
from forecast.cli.tables import figures_table
from forecast.settings import Settings

if TYPE_CHECKING:
    from forecast.runs.accuracy import ForecastAccuracy, HorizonAccuracy
    from forecast.runs.habits import Habit, Habits

REVENUE_MODEL = "revenue_forecast"


def print_forecast_accuracy(settings: Settings, *, now: datetime, out: Path | None) -> None:
    """Print how right kept forecasts were by level and horizon, and whose announcements come true."""
    from forecast.errors import TooLittleHistoryError
    from forecast.registry import versions_until
    from forecast.runs.accuracy import measure_forecasts
    from forecast.runs.habits import judge_habits

    until, timezone = versions_until(settings.models_folder, REVENUE_MODEL), settings.timezone
    with transaction(settings) as session:
        habits = judge_habits(session, now=now, timezone=timezone)
        try:
            found = measure_forecasts(session, now=now, timezone=timezone, known_until=until)
        except TooLittleHistoryError as error:
            print_notes(str(error))
        else:
            print_notes(*found.remarks)
            _print_horizons(found)
            if out is not None:
                _write(found.horizons, out)
    _print_habits(habits)


def _print_horizons(found: "ForecastAccuracy") -> None:
    output.print(
        say(
            "{count} kept forecasts judged, the first of each month; {hindsight} more were made in hindsight, and say nothing. "
            "ahead: months; months: of all units, that are judged; error, bias, weighted pipeline and last year: missed by, as a share of what landed; "
            "in 80 %: of the months landed in that range.",
            count=found.runs,
            hindsight=found.hindsight,
        )
    )
    headings = ("ahead", "months", "error", "weighted", "last year", "bias", "in 80 %", "in 95 %")
    table = figures_table(say("level"), map(say, headings))
    table.columns[0].no_wrap = True
    before = ""
    for row in found.horizons:
        if before not in {"", row.level}:
            table.add_section()
        before = row.level
        shares = (row.wape, row.wape_pipeline, row.wape_naive)
        table.add_row(
            say(row.level),
            *(str(row.horizon), f"{row.cells:,}"),
            *("" if share is None else f"{share:.0%}" for share in shares),
            "" if row.bias is None else f"{row.bias:+.0%}",
            *(f"{share:.0%}" for share in (row.coverage_80, row.coverage_95)),
        )
    output.print(table)


def _print_habits(habits: "Habits") -> None:
    print_notes(*habits.remarks)
    if not habits.people:
        return
    table = Table(
        say("person"),
        *(
            Column(say(name), justify="right")
            for name in ("announced", "kept", "others", "won", "not announced", "others")
        ),
        "",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        title=say("What was announced for each month since {month}, and came", month=f"{habits.since:%Y-%m}"),
        title_justify="left",
    )
    for habit in habits.people:
        table.add_row(*_habit_cells(habit))
    output.print(table)
    output.print(
        say(
            "announced: deals said to close in a month; kept: won in it; won: deals won; not announced: of these, for their month; others: "
            "what is usual of the others"
        )
    )


def _habit_cells(habit: "Habit") -> list[str]:
    def said(share: float | None) -> str:
        return "" if share is None else f"{share:.0%}"

    kept = (str(habit.announced), said(habit.kept_share), said(habit.kept_usual))
    surprising = (str(habit.won), said(habit.unannounced_share), said(habit.unannounced_usual))
    return [escape(habit.name or habit.person_id), *kept, *surprising, say(habit.verdict)]


def _write(horizons: "Sequence[HorizonAccuracy]", out: Path) -> None:
    import polars as pl

    pl.DataFrame([asdict(row) for row in horizons], infer_schema_length=None).write_csv(out)
