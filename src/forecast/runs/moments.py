"""Two moments to compare: as a kept forecast saw the deals, or as the records' history tells."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy.orm import Session

from forecast.errors import InputError
from forecast.moments import read_moment
from forecast.revenue.cells import COMPANY
from forecast.revenue.currencies import check_currency, of_currency
from forecast.revenue.records import SalesRecords, known_currencies
from forecast.revenue_records import OWNERS, read_deal_records
from forecast.runs.booked import UNIT_COLUMNS
from forecast.runs.changes import Changes, Scope, compare
from forecast.runs.deals import read_deals, read_kept_deals
from forecast.runs.keeping import Run, get_run, list_runs, read_cells

RUN_DIGITS_MAX = 7
COMPARED = ("name", "owner_id", "team_id", "amount", "expected_close_on", "seller_probability")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What was seen of deals at a moment, and the kept forecast that saw it, if one did.

    Attributes:
        expected: the forecast's mean for the scope; missing without a forecast, or where it does not reach the scope's end.
    """

    moment: datetime
    run: Run | None
    expected: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Changes between two moments."""

    before: Sight
    after: Sight
    scope: Scope
    currency: str | None
    changes: Changes


def find_sight(session: Session, text: str, *, timezone: str) -> Sight:
    """Find the moment that is meant: the number of a kept forecast, or a date or moment.

    A moment at which a forecast was kept is that forecast's.

    Raises:
        NotFoundError: there is no forecast of that number.
        InputError: it is neither a number nor a moment.
    """
    if text.isdecimal() and len(text) <= RUN_DIGITS_MAX:
        run: Run | None = get_run(session, int(text))
    else:
        moment = read_moment(text, timezone)
        run = next((run for run in list_runs(session, until=moment) if run.as_of == moment), None)
    return Sight(moment=run.as_of if run else moment, run=run, expected=None)


def compare_moments(
    session: Session, before: Sight, after: Sight, scope: Scope, *, currency: str | None, timezone: str
) -> Comparison:
    """Read deals at two moments and compare them.

    Raises:
        InputError: the first moment is not before the second, the level is unknown, or amounts are in several currencies and
            none was named.
        TooLittleHistoryError: no amount is in the currency that was named.
    """
    if before.moment >= after.moment:
        raise InputError(f"from {before.moment.isoformat()} is not before to {after.moment.isoformat()}; swap them")
    if scope.level != COMPANY and UNIT_COLUMNS.get(scope.level) not in {"owner_id", "team_id"}:
        raise InputError(f'changes are told of a company, team or person; found level "{scope.level}"')
    first = datetime.combine(scope.starts_on, time.min, ZoneInfo(timezone))
    since = min(before.moment, first)
    records = read_deal_records(session, timezone=timezone, fields=COMPARED, since=since, levels=OWNERS)
    asked = currency or next((sight.run.currency for sight in (after, before) if sight.run), None)
    known = known_currencies(records, after.moment)
    named = check_currency(asked, known)
    kept = [of_currency(_deals(session, records, sight), named, known) for sight in (before, after)]
    return Comparison(
        before=_with_expected(session, before, scope),
        after=_with_expected(session, after, scope),
        scope=scope,
        currency=named,
        changes=compare(kept[0], kept[1], scope),
    )


def _deals(session: Session, records: SalesRecords, sight: Sight) -> pl.DataFrame:
    """Give all deals at a moment; of those that were open, what a kept forecast saw goes before what records say now."""
    told = read_deals(session, records, sight.moment)
    if sight.run is None:
        return told
    kept = read_kept_deals(session, sight.run.id)
    closed = told.filter(pl.col("status") != "open").join(kept, on="opportunity_id", how="anti")
    return pl.concat([kept, closed])


def _with_expected(session: Session, sight: Sight, scope: Scope) -> Sight:
    if sight.run is None:
        return sight
    cells = read_cells(session, sight.run.id, level=scope.level, unit_id=scope.unit_id)
    months = cells.filter(pl.col("month").is_between(scope.starts_on.replace(day=1), scope.ends_on))
    reaches = not months.is_empty() and months["month"].dt.month_end().max() >= scope.ends_on  # type: ignore[operator]  # a day
    return replace(sight, expected=float(months["mean"].sum()) if reaches else None)


def quarter_of(day: date) -> tuple[date, date]:
    """Give the first and last day of a day's quarter."""
    return _days("1q", day)


def read_period(text: str) -> tuple[date, date]:
    """Read a year, quarter or month such as 2026, 2026-Q4 or 2026-11; give its first and last day.

    Raises:
        InputError: it is none.
    """
    try:
        year, _, part = text.upper().partition("-")
        if part.startswith("Q") and part[1:] in {"1", "2", "3", "4"}:
            return _days("1q", date(int(year), int(part[1:]) * 3, 1))
        return _days("1mo", date(int(year), int(part), 1)) if part else _days("1y", date(int(year), 1, 1))
    except ValueError as error:
        raise InputError(f'"{text}" is no period; write 2026, 2026-Q4 or 2026-11') from error


def _days(every: str, day: date) -> tuple[date, date]:
    start = pl.lit(day).dt.truncate(every)
    return pl.select(start.alias("first"), start.dt.offset_by(every).dt.offset_by("-1d").alias("last")).row(0)
