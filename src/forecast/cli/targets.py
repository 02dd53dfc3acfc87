"""forecast targets."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.table import Table

from forecast.cli.phrases import print_notes, say, say_moment, short_money
from forecast.cli.screen import AsOf, console, moment_of, now, output, transaction, writable
from forecast.cli.tables import figures_table
from forecast.errors import InputError
from forecast.settings import Settings, read_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from forecast.targets.attainment import Attainment
    from forecast.targets.proposal import Proposal
    from forecast.targets.quotas import Target
    from forecast.targets.reading import Adviser

PERIODS = ("month", "quarter", "year")


def targets(
    year: Annotated[
        int | None,
        typer.Option(
            min=1970,
            max=2200,
            help="Calendar year. Default: quotas that are running; to propose for, that of the moment.",
        ),
    ] = None,
    propose: Annotated[
        float | None, typer.Option(metavar="AMOUNT", help="Divide this target of the company for the year.")
    ] = None,
    period: Annotated[str, typer.Option(help="Of proposed quotas: month, quarter or year.")] = "month",
    edit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="UNIT[@DATE]=AMOUNT", help="An amount that is decided; the rest is spread again. May be repeated."
        ),
    ] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Write the proposed quotas as records.")] = False,
    currency: Annotated[str | None, typer.Option(help="Of records in several currencies, the one that counts.")] = None,
    out: Annotated[
        Path | None, typer.Option(callback=writable, help="CSV of the proposed quotas, as `forecast import` reads it.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Say how far quotas are reached and how likely they are; or propose quotas that divide a target, and adopt them."""
    from forecast.targets.edits import read_edit
    from forecast.targets.proposal import propose as divide
    from forecast.targets.reading import quota_records, read_adviser

    settings = read_settings()
    moment = moment_of(as_of, settings)
    _check(propose, [adopt, edit, out], period)
    with transaction(settings) as session:
        if propose is None:
            _print_targets(session, year, moment, settings=settings, currency=currency)
            return
        adviser = read_adviser(session, as_of=moment, currency=currency, timezone=settings.timezone)
        edits = [read_edit(text, adviser.sellers) for text in edit or []]
        found = divide(propose, year or adviser.sellers.today.year, adviser.sellers, period=period, edits=edits)  # type: ignore[arg-type]  # checked
        _print_proposal(found, adviser, settings)
        records = quota_records(found, currency=adviser.currency)
        if adopt:
            _adopt(session, records, settings)
        if out is not None:
            _write(records, out)


def _check(propose: float | None, beside: Sequence[Any], period: str) -> None:
    if propose is None and any(beside):
        raise InputError("--adopt, --edit and --out go with --propose AMOUNT; name the target that is to be divided")
    if period not in PERIODS:
        raise InputError(f'--period is "{period}"; give one of {", ".join(PERIODS)}')


def _print_targets(
    session: "Session", year: int | None, moment: datetime, *, settings: Settings, currency: str | None
) -> None:
    from forecast.targets.reading import read_attainments

    today = moment.astimezone(ZoneInfo(settings.timezone)).date()
    first, last = (date(year, 1, 1), date(year, 12, 31)) if year else (today, today)
    found = read_attainments(session, first, last, as_of=moment, timezone=settings.timezone, currency=currency)
    print_notes(*found.remarks)
    if not found.attainments:
        found_none = (
            say("no quota has a day in {year}", year=year) if year else say("no quota is running on {day}", day=today)
        )
        output.print(f"{found_none}{say('; import quotas, or propose some:')} forecast targets --propose AMOUNT")
        return
    if found.run is not None:
        console.print(say("judged by the forecast as of {moment}", moment=say_moment(found.run.as_of)))
    for table in _targets_tables(found.attainments, currency or (found.run.currency if found.run else None)):
        output.print(table)
    output.print(
        say(
            "projected: the mean of what will be booked by then; gap: what it lacks; shortfall: what lacks on average, futures that "
            "reach the target counting as none; needed: further opportunities that close the gap at the usual amount and share won"
        )
    )
    _print_reach(found.attainments, today)
    _print_failed_checks(found.attainments, settings)


def _print_reach(attainments: Iterable["Attainment"], today: date) -> None:
    """Say how far a forecast must reach for the chances that are not known."""
    ends = [
        found.target.ends_on
        for found in attainments
        if found.target.ends_on and found.outlook is not None and found.outlook.probability is None
    ]
    if ends:
        last = max(ends)
        months = (last.year - today.year) * 12 + last.month - today.month + 1
        output.print(
            say(
                "chances to {day} are known once a forecast reaches that far: forecast outlook --horizon {months}",
                day=last,
                months=months,
            )
        )


def _targets_tables(attainments: Iterable["Attainment"], currency: str | None) -> Iterator[Table]:
    """Lay targets out, a table a period."""

    def period(found: "Attainment") -> tuple[date, date]:
        return found.target.starts_on or date.min, found.target.ends_on or date.max

    for _, group in groupby(sorted(attainments, key=period), key=period):
        same = list(group)
        one = same[0].target
        money = say(one.currency or currency or "")
        title = say_period(one.starts_on, one.ends_on) + (say(", ") + money if money else "")
        yield attainments_table(
            same, say("unit"), lambda found: say_unit(found.level, found.unit_id, found.unit_name), title=title
        )


def attainments_table(
    attainments: Iterable["Attainment"], heading: str, name: "Callable[[Target], str]", *, title: str = ""
) -> Table:
    """Lay out where targets stand, a row each under the name that is given to it; company, teams and persons apart."""
    headings = ("target", "attained", "projected", "chance", "shortfall", "gap", "needed")
    table = figures_table(heading, map(say, headings), title=title)
    for _, level in groupby(attainments, key=lambda found: found.target.level):
        for found in level:
            table.add_row(escape(name(found.target)), *_attainment_cells(found))
        table.add_section()
    return table


def _attainment_cells(found: "Attainment") -> list[str]:
    target, outlook, needed = found.target, found.outlook, found.needed
    share = "" if not target.amount or found.attained is None else f" {found.attained / target.amount:.0%}"
    cells = [short_money(target.amount), short_money(found.attained) + share]
    if outlook is None:
        cells += ["", "", ""]
    else:
        until = "" if outlook.probability is not None else say(" by {day}", day=outlook.until)
        chance = "" if outlook.probability is None else f"{outlook.probability:.0%}"
        cells += [short_money(outlook.mean) + until, chance, short_money(outlook.shortfall)]
    return [*cells, short_money(found.gap), "" if needed is None else str(needed.opportunities)]


def say_unit(level: str, unit_id: str, name: str | None) -> str:
    """Name a unit: as people do, or in the language of FORECAST_LANGUAGE where it is what belongs to no unit."""
    from forecast.revenue.cells import NO_UNIT

    return say(unit_id) if unit_id == NO_UNIT.get(level) else name if unit_id and name else unit_id or say(level)


def say_period(first: date | None, last: date | None) -> str:
    """Name a calendar year, quarter or month; else give its days, as far as they are known."""
    if first is None or last is None:
        return say("from {day}", day=first) if first else say("until {day}", day=last) if last else say("without dates")
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    whole = first.day == 1 and (last + timedelta(days=1)).day == 1
    if not whole or months not in {1, 3, 12} or (first.month - 1) % months:
        return f"{first} – {last}"
    return {1: f"{first:%Y-%m}", 3: f"{first.year} Q{(first.month + 2) // 3}", 12: str(first.year)}[months]


def _print_failed_checks(attainments: Iterable["Attainment"], settings: Settings) -> None:
    from forecast.targets.smart import check_target

    for found in attainments:
        target = found.target
        name = (
            f"{say_unit(target.level, target.unit_id, target.unit_name)} {say_period(target.starts_on, target.ends_on)}"
        )
        for check in check_target(found, settings.language):
            if check.passed is False:
                output.print(escape(say(": ").join([name, check.label, check.sentence])))


def _print_proposal(found: "Proposal", adviser: "Adviser", settings: Settings) -> None:
    from forecast.targets.reading import judge_proposal

    print_notes(*found.remarks)
    judged = judge_proposal(found, adviser)
    headings = ("target", "share", "last 12 months", "change", "chance")
    title = say(", ").join(filter(None, [str(found.year), say(adviser.currency or "")]))
    table = figures_table(say("unit"), map(say, headings), title=title)
    for _, level in groupby(judged, key=lambda one: one.target.level):
        for one in level:
            table.add_row(*_proposed_cells(one, found))
        table.add_section()
    output.print(table)
    output.print(_periods_table(found))
    _print_reach(judged, adviser.ground.today)
    _print_failed_checks(judged, settings)


def _proposed_cells(one: "Attainment", found: "Proposal") -> list[str]:
    target, outlook, amount = one.target, one.outlook, one.target.amount or 0
    booked = found.booked_last_year(target.level, target.unit_id)
    return [
        escape(say_unit(target.level, target.unit_id, target.unit_name)),
        _money(amount),
        f"{amount / found.total:.1%}",
        _money(booked),
        f"{amount / booked - 1:+.0%}" if booked > 0 else "",
        "" if outlook is None or outlook.probability is None else f"{outlook.probability:.0%}",
    ]


def _periods_table(found: "Proposal") -> Table:
    """Lay the proposal out, a row a unit and a column a quarter, or the year: twelve months fit no terminal."""
    import polars as pl

    longest = "1y" if found.parts["starts_on"].n_unique() == 1 else "1q"
    sums = found.parts.with_columns(pl.col("starts_on").dt.truncate(longest))
    starts = sorted(set(sums["starts_on"]))
    ends = [
        (start + timedelta(days=366 if longest == "1y" else 92)).replace(day=1) - timedelta(days=1) for start in starts
    ]
    names = (say_period(start, end) for start, end in zip(starts, ends, strict=True))
    table = figures_table(say("unit"), names)
    for level in sums.partition_by("level", maintain_order=True):
        for unit in level.partition_by("unit_id", maintain_order=True):
            name = say_unit(*unit.select("level", "unit_id", "unit_name").row(0))
            amounts = unit.group_by("starts_on").agg(pl.col("amount").sum()).sort("starts_on")["amount"]
            table.add_row(escape(name), *map(_money, amounts))
        table.add_section()
    return table


def _money(amount: float) -> str:
    return f"{amount:,.0f}"


def _adopt(session: "Session", records: Sequence[dict[str, Any]], settings: Settings) -> None:
    """Write quotas as the API would, with history and audit trail."""
    import getpass

    from pydantic_core import to_json

    from serving.records.edits import read_ground, receive, upsert
    from serving.records.schemas import read_record
    from serving.records.writing import Written, write_records

    ground = read_ground(session, "quota", ZoneInfo(settings.timezone))
    edits = [upsert(receive(ground, read_record("quota", to_json(record)))) for record in records]
    outcomes = write_records(session, "quota", edits, actor=getpass.getuser(), clock=now)
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Written)]
    if refused:
        raise refused[0]
    changed = sum(isinstance(outcome, Written) and outcome.action is not None for outcome in outcomes)
    console.print(
        say(
            "adopted: {changed} of {count} quotas written, the others were so already",
            changed=changed,
            count=len(records),
        )
    )


def _write(records: Sequence[dict[str, Any]], out: Path) -> None:
    import polars as pl

    columns = ("id", "person_id", "team_id", "starts_on", "ends_on", "metric", "amount", "currency")
    rows = [{name: record.get(name) for name in columns} for record in records]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(out)
