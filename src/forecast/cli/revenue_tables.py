"""How a revenue forecast from the records is laid out for a terminal of 80 columns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from forecast.cli.phrases import say
from forecast.cli.screen import output
from forecast.cli.tables import figures_table
from forecast.cli.targets import attainments_table, say_period, say_unit
from forecast.revenue.cells import COMPANY, draws_of
from forecast.runs.categories import CATEGORIES, deals_of_unit
from forecast.settings import read_settings
from forecast.wording import Language

if TYPE_CHECKING:
    from forecast.targets.attainment import Attainment

UNITS_SHOWN = 15
WIDE = 1_000
MONEY_SCALES: Mapping[Language, tuple[tuple[float, str], ...]] = MappingProxyType(
    {"en": ((1e3, "thousands"), (1e6, "millions")), "zh": ((1e4, "thousands"), (1e8, "millions"))}
)
"""In what tables are, so that they fit a terminal of 80 columns: in a step where the largest sum has a thousand of it."""
PARTS = ("won", "open", "new")
CASES = ("lo-80", "likely", "hi-80")
_CASE_NAMES = ("worst", "likely", "best")
CATEGORY_NAMES = MappingProxyType({"commit": "Commit", "best_case": "Best case", "pipeline": "Pipeline"})


@dataclass(frozen=True, kw_only=True)
class Money:
    """What amounts are in: divided by `scale`, named `name`."""

    scale: float
    name: str

    def say(self, amount: float | None) -> str:
        """Write an amount without its unit; nothing where it is missing."""
        return "" if amount is None else f"{amount / self.scale:,.0f}"


def outlook_tables(
    rows: pl.DataFrame, deals: pl.DataFrame, currency: str | None, *, attainments: "Iterable[Attainment]"
) -> Iterator[RenderableType]:
    """Lay out the company, or each unit that stands alone on its level, by period; the others of a level by their sums of all months.

    Args:
        rows: as `runs.outlook.outlook_rows`; a level's only unit beside the company is the company once more, and left out.
        deals: as `runs.deals.DEAL_TYPES`, open and in that currency.
        currency: of all amounts.
        attainments: of targets, some of units in `rows`.
    """
    months, found = rows.filter(period="month"), list(attainments)
    money = _money(months, currency)
    whole = COMPANY in rows["level"]
    for level in rows.partition_by("level", maintain_order=True):
        if level["unit_id"].n_unique() > 1:
            yield _units_table(level.filter(period="month"), money)
        elif level["level"][0] == COMPANY or not whole:
            yield from _unit_tables(level, deals, money, attainments=found)


def _money(months: pl.DataFrame, currency: str | None) -> Money:
    """Choose a unit that fits a table."""
    largest = max((float(unit["mean"].sum()) for unit in months.partition_by("level", "unit_id")), default=0.0)
    scales = MONEY_SCALES[read_settings().language]
    scale, step = next((one for one in reversed(scales) if largest >= 1_000 * one[0]), (1.0, ""))
    both = say("{unit} of {currency}", unit=say(step), currency=say(currency)) if step and currency else ""
    name = both or say(currency or step or "")
    return Money(scale=scale, name=say(", ") + name if name else "")


def _unit_tables(
    unit: pl.DataFrame, deals: pl.DataFrame, money: Money, *, attainments: "list[Attainment]"
) -> Iterator[RenderableType]:
    level, unit_id, name = unit.select("level", "unit_id", "unit_name").row(0)
    title = escape(say_unit(level, unit_id, name)) + money.name
    yield _periods_table(unit, money, title)
    yield say(
        "won: booked already; open: from open deals; new: from deals to come; series: the same as a time series; forecast: both views "
        "blended. Of ten futures one is below the worst case, five below the likely one, nine below the best."
    )
    own = [found for found in attainments if (found.target.level, found.target.unit_id) == (level, unit_id)]
    if own:
        yield attainments_table(own, say("period"), lambda target: say_period(target.starts_on, target.ends_on))
    elif attainments and level == COMPANY:
        yield say("the company has no target of its own; where those of its teams and persons stand: forecast targets")
    yield from _categories_table(unit, deals_of_unit(deals, level, unit_id), money)


def _periods_table(unit: pl.DataFrame, money: Money, title: str) -> Table:
    headings = ("won", "open", "new", "series", "forecast", *_CASE_NAMES)
    table = figures_table(say("month"), map(say, headings), title=title)
    for part in unit.partition_by("period", maintain_order=True):
        for row in part.iter_rows(named=True):
            cells = [money.say(row[name]) for name in (*PARTS, "series", "mean", *CASES)]
            table.add_row(say_period(row["starts_on"], row["ends_on"]), *_emphasised(cells, 4))
        table.add_section()
    months = unit.filter(period="month")
    table.add_row(say("all"), *_emphasised(_sums(months, (*PARTS, "series"), money), 4))
    if output.measure(table, options=output.options.update(max_width=WIDE)).maximum > output.width:
        table.padding = 0
    return table


def _units_table(level: pl.DataFrame, money: Money) -> Table:
    name, months = level["level"][0], level["starts_on"].n_unique()
    title = say("by {level}, {months} months", level=say(name), months=months) + money.name
    table = figures_table(say(name), map(say, (*PARTS, "forecast", *_CASE_NAMES)), title=title)
    units = sorted(level.partition_by("unit_id", maintain_order=True), key=lambda unit: -float(unit["mean"].sum()))
    for unit in units[:UNITS_SHOWN]:
        said = say_unit(name, unit["unit_id"][0], unit["unit_name"][0])
        table.add_row(escape(said), *_emphasised(_sums(unit, PARTS, money), 3))
    if len(units) > UNITS_SHOWN:
        table.add_row(say("… and {count} more, in --out", count=len(units) - UNITS_SHOWN))
    return table


def _sums(months: pl.DataFrame, parts: tuple[str, ...], money: Money) -> list[str]:
    """Sum a unit's months: parts, mean and cases; these are those of the sums of its futures."""
    known: list[float | None] = [None if months[name].null_count() else float(months[name].sum()) for name in parts]
    cases = np.quantile(draws_of(months).sum(axis=0), [0.1, 0.5, 0.9])
    return [money.say(amount) for amount in (*known, float(months["mean"].sum()), *map(float, cases))]


def _emphasised(cells: list[str], place: int) -> list[str]:
    return [*cells[:place], f"[bold]{cells[place]}[/bold]", *cells[place + 1 :]]


def _categories_table(unit: pl.DataFrame, deals: pl.DataFrame, money: Money) -> Iterator[Table]:
    """Lay open deals out by the quarter in which they are expected to close, or the period that is there; none where no deal is open."""
    if deals.is_empty():
        return
    rows = unit.filter(period="quarter" if "quarter" in unit["period"] else unit["period"][-1])
    title = say("open deals by expected close date") + money.name
    table = figures_table(say("closes"), map(say, ("category", "deals", "amount", "× chance")), title=title)
    table.columns[1].justify = "left"
    for row in rows.iter_rows(named=True):
        for category, name in CATEGORY_NAMES.items():
            first = say_period(row["starts_on"], row["ends_on"]) if category == CATEGORIES[0] else ""
            table.add_row(first, say(name), *_category_cells(row, category, money))
        table.add_section()
    for name, rest in _outside(deals, rows).items():
        if rest.height:
            table.add_row(say(name), "", f"{rest.height:,}", money.say(float(rest["amount"].sum())))
    yield table


def _outside(deals: pl.DataFrame, rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Give the deals that are expected to close outside of some periods."""
    closes = pl.col("expected_close_on")
    return {
        "earlier": deals.filter(closes < rows["starts_on"].min()),
        "later": deals.filter(closes > rows["ends_on"].max()),
        "undated": deals.filter(closes.is_null()),
    }


def _category_cells(row: dict[str, Any], category: str, money: Money) -> list[str]:
    count, *amounts = (row[f"{category}_{name}"] for name in ("count", "amount", "weighted"))
    return [f"{count:,}", *map(money.say, amounts)]
