"""forecast changes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.phrases import print_notes, say, say_moment, short_money
from forecast.cli.screen import now, output, transaction, writable
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.runs.changes import Changes
    from forecast.runs.moments import Comparison

RECORDS_SHOWN = 10
DEAL_WIDTH = 13  # what a terminal of 80 columns leaves
_NAMES = {
    "new": "new", "won": "won", "lost": "lost", "pulled_in": "pulled in", "slipped_in": "slipped in",
    "pushed_out": "pushed out", "moved_earlier": "moved earlier", "amount_up": "amount up",
    "amount_down": "amount down", "scored": "scored", "rescored": "re-scored", "handed_over": "handed over", "reopened": "reopened",
    "removed": "removed",
}  # fmt: skip


def changes(
    since: Annotated[str, typer.Option("--from", help="Moment (ISO), or the number of a kept forecast.")],
    until: Annotated[
        str | None, typer.Option("--to", help="Moment (ISO), or the number of a kept forecast. Default: now.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Team or person by id or name. Default: the company.")] = None,
    period: Annotated[str | None, typer.Option(help="2026, 2026-Q4 or 2026-11. Default: the quarter of --to.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of records in several currencies, the one that counts.")] = None,
    out: Annotated[Path | None, typer.Option(callback=writable, help="CSV of the records behind each bar.")] = None,
) -> None:
    """Say what led from one expected total of a period to the other: new, won, lost, moved, re-scored, deal by deal."""
    from forecast.runs.changes import Scope
    from forecast.runs.moments import compare_moments, find_sight, quarter_of, read_period
    from forecast.runs.units import find_unit

    settings = read_settings()
    zone = settings.timezone
    with transaction(settings) as session:
        before, after = (find_sight(session, text, timezone=zone) for text in (since, until or now().isoformat()))
        days = read_period(period) if period else quarter_of(after.moment.astimezone(ZoneInfo(zone)).date())
        level, unit_id = find_unit(session, unit)
        scope = Scope(level=level, unit_id=unit_id, starts_on=days[0], ends_on=days[1])
        found = compare_moments(session, before, after, scope, currency=currency, timezone=zone)
    print_notes(*found.changes.remarks)
    output.print(_bars_table(found, unit or say("company")))
    if found.changes.bars:
        output.print(_records_table(found.changes))
    if out is not None:
        found.changes.records.write_csv(out)


def _bars_table(found: "Comparison", unit: str) -> Table:
    scope, changed = found.scope, found.changes
    title = say("{unit}, {first} to {last}", unit=unit, first=scope.starts_on, last=scope.ends_on)
    title += say(", ") + say(found.currency) if found.currency else ""
    columns = (Column(say(name), justify="right") for name in ("deals", "won and expected of open deals"))
    table = Table("", *columns, box=SIMPLE, title=escape(title), title_justify="left")
    table.add_row(say_moment(found.before.moment), "", f"{changed.before:,.0f}")
    for bar in changed.bars:
        table.add_row(say(_NAMES[bar.name]), f"{bar.count:,}", f"{bar.amount:+,.0f}")
    table.add_row(say_moment(found.after.moment), "", f"{changed.after:,.0f}")
    expected = found.before.expected, found.after.expected
    if expected[0] is not None and expected[1] is not None:
        table.add_section()
        said = f"{expected[0]:,.0f} → {expected[1]:,.0f}"
        table.add_row(say("forecast, deals not yet created included"), "", said)
    return table


def _records_table(changed: "Changes") -> Table:
    """List the largest changes."""
    columns = (Column(say(name), no_wrap=True) for name in ("what", "change", "amount", "closes", "chance"))
    deal = Column(say("deal"), no_wrap=True, overflow="ellipsis", max_width=DEAL_WIDTH)
    table = Table(deal, *columns, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for row in changed.records.head(RECORDS_SHOWN).iter_rows(named=True):
        table.add_row(
            escape(row["name"] or row["opportunity_id"]),
            say(_NAMES[row["bar"]]),
            ("+" if row["change"] > 0 else "") + short_money(row["change"]),
            _from_to(row, "amount", short_money),
            _from_to(row, "closes_on", "{:%y-%m-%d}".format),
            _from_to(row, "probability", "{:.0%}".format).replace("%→", "→"),
        )
    return table


def _from_to(row: dict[str, Any], name: str, write: Callable[[Any], str]) -> str:
    """Write both values, or the one where they look alike or one is missing; of a day later in the same year, no year."""
    values = [row[f"{name}_{side}"] for side in ("before", "after") if row[f"{name}_{side}"] is not None]
    said = list(dict.fromkeys(write(value) for value in values))
    if name == "closes_on" and len(said) == 2 and said[0][:2] == said[1][:2]:
        said[1] = said[1][3:]
    return "→".join(said)
