"""/v1/forecast: what revenue will be, as kept, and what changed."""

from collections.abc import Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from forecast.errors import NotFoundError
from forecast.metrics import Floats
from forecast.revenue.cells import COMPANY
from forecast.revenue.currencies import of_currency
from forecast.revenue.questions import (
    MONTHS_IN,
    Period,
    cases,
    chance_of_reaching,
    expected_shortfall,
    period_totals,
)
from forecast.runs import Run, get_newest_run, get_run, list_runs, read_cells
from forecast.runs.categories import due_by_category
from forecast.runs.changes import Scope
from forecast.runs.deals import read_kept_deals
from forecast.runs.moments import Comparison, Sight, compare_moments, find_sight, quarter_of, read_period
from forecast.runs.units import find_unit
from forecast.wording import Language, say_remarks
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.posted import utc
from serving.schemas import Moment, Schema, Share

RUNS_MAX = 100
Level = Literal["company", "team", "person", "region", "product"]

router = APIRouter()


class RunOut(Schema):
    """A kept forecast: its number, what it was made of and when; `remarks` say what was missing or assumed."""

    id: int
    version: Annotated[str | None, Field(description="Of revenue_forecast; null where none was live.")]
    as_of: datetime
    kept_at: datetime
    currency: str | None
    remarks: list[str]


class Range(Schema):
    """Bounds between which so many futures in a hundred lie."""

    low: float
    high: float


class Ranges(Schema):
    """Ranges of 50, 80 and 95 %."""

    range_50: Range
    range_80: Range
    range_95: Range


class Parts(Schema):
    """What the forecast is made of.

    `won` is booked already; `open` and `new` are expected from open opportunities and from those that do not exist yet;
    `series` is the view of the time series alone, null where there is none.
    """

    won: float
    open: float
    new: float
    series: float | None


class CasesOut(Schema):
    """Totals that one future in ten, one in two and nine in ten stay below."""

    worst: float
    likely: float
    best: float


class QuotaAnswer(Schema):
    """How likely an amount is reached, and by how much it is missed on average, futures that reach it counting as zero."""

    amount: float
    probability: Share
    expected_shortfall: float


class CategoryOut(Schema):
    """Open opportunities with a close date in the period, by category.

    `weighted` is amount times probability, null where not all had one.
    """

    category: Literal["commit", "best_case", "pipeline"]
    count: int
    amount: float
    weighted: float | None


class ForecastRow(Schema):
    """Revenue of one unit in one period; `whole` is false where the forecast has not all its months."""

    level: Level
    unit_id: str
    unit_name: str | None
    starts_on: date
    ends_on: date
    whole: bool
    mean: float
    parts: Parts
    ranges: Ranges
    cases: CasesOut
    quota: QuotaAnswer | None
    categories: Annotated[
        list[CategoryOut] | None, Field(description="Of the company, teams and persons, as seen when it was made.")
    ]


class ForecastAnswer(Schema):
    """A kept forecast, company first, then units by id, each by period."""

    run: RunOut
    forecast: list[ForecastRow]


class RunsAnswer(Schema):
    """The newest kept forecasts, newest first."""

    runs: list[RunOut]


class SightOut(Schema):
    """A moment; where a forecast was kept at it, its number and its mean for the period, new business included."""

    moment: datetime
    run_id: int | None
    forecast: float | None
    total: Annotated[float, Field(description="Won in the period, and amount times probability of open deals.")]


class BarOut(Schema):
    """One kind of change, summed over `count` opportunities."""

    name: str
    count: int
    amount: float


class ChangedDeal(Schema):
    """An opportunity behind a bar, as it stood before and after."""

    opportunity_id: str
    name: str | None
    owner_id: str | None
    bar: str
    change: float
    status_before: str | None
    status_after: str | None
    amount_before: float | None
    amount_after: float | None
    closes_on_before: date | None
    closes_on_after: date | None
    probability_before: float | None
    probability_after: float | None


class ChangesAnswer(Schema):
    """What led from one total to the other: `before.total` and all bars add up to `after.total`, to the cent."""

    level: Level
    unit_id: str
    starts_on: date
    ends_on: date
    currency: str | None
    before: SightOut
    after: SightOut
    bars: list[BarOut]
    records: Annotated[
        list[ChangedDeal], Field(description="The largest changes first; `total_records` says how many.")
    ]
    total_records: int
    remarks: list[str]


@router.get(
    "/v1/forecast",
    summary="Read the newest revenue forecast",
    response_model=ForecastAnswer,
    responses={304: {"description": "You have it already: no other forecast answers since."}},
)
def read_forecast(
    *,
    request: Request,
    response: Response,
    session: SessionDep,
    desk: DeskDep,
    language: LanguageDep,
    level: Annotated[Level | None, Query(description="Default: company, or that of `unit`.")] = None,
    unit: Annotated[str | None, Query(description="Id or name of a unit; without it all of the level.")] = None,
    period: Annotated[Period, Query(description="Months are added up to it, future by future.")] = "month",
    horizon: Annotated[int | None, Query(ge=1, le=60, description="Periods from the present one on.")] = None,
    quota: Annotated[
        float | None, Query(gt=0, allow_inf_nan=False, description="Asks how likely it is reached in each period.")
    ] = None,
    currency: Annotated[str | None, Query(description="The newest forecast in it.")] = None,
    as_of: Annotated[Moment | None, Query(description="The newest forecast as of that moment or before.")] = None,
    run: Annotated[int | None, Query(description="The number of a kept forecast, instead of the newest.")] = None,
    if_none_match: Annotated[str | None, Header(description="ETag of the answer that you have: then 304.")] = None,
) -> ForecastAnswer | Response:
    """Give a kept forecast by month, quarter or year, with its parts, ranges and cases, and answer for a quota.

    Forecasts are made and kept by `forecast outlook`; nothing is computed anew, and what is kept never changes: the `ETag` of
    an answer holds until another forecast answers the same question.
    """
    if run is not None:
        found = get_run(session, run)
    else:
        found = get_newest_run(session, until=utc(as_of, desk.zone) if as_of else None, currency=currency)
    headers = {"ETag": f'"{found.id}.{language}.{request.app.version}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and headers["ETag"] in if_none_match.replace("W/", "").split(", "):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    cells = _asked(read_cells(session, found.id, level=level or (None if unit else COMPANY)), unit, found)
    first = cells.filter(pl.col("draws").list.len() > 0)["month"].min()
    totals = period_totals(cells, period).filter(pl.col("ends_on") >= first)
    if horizon is not None:
        totals = totals.filter(pl.col("starts_on").rank("dense") <= horizon)
    categories = _categories(session, found, totals)
    rows = [
        _row(row, draws, categories.get((row["level"], row["unit_id"], row["starts_on"])), period, quota)
        for row, draws in zip(totals.drop("draws").iter_rows(named=True), totals["draws"], strict=True)
    ]
    return ForecastAnswer(run=_run(found, language), forecast=rows)


@router.get("/v1/forecast/runs", summary="List kept forecasts")
def read_runs(
    session: SessionDep,
    language: LanguageDep,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=RUNS_MAX)] = 20,
) -> RunsAnswer:
    """List the kept forecasts by the moment that they are of, newest first."""
    return RunsAnswer(runs=[_run(run, language) for run in list_runs(session)[:limit]])


@router.get("/v1/forecast/changes", summary="Say what changed between two moments")
def read_changes(
    *,
    session: SessionDep,
    desk: DeskDep,
    language: LanguageDep,
    since: Annotated[str, Query(alias="from", description="A moment, a date, or the number of a kept forecast.")],
    until: Annotated[str | None, Query(alias="to", description="Likewise; now where it is left out.")] = None,
    unit: Annotated[str | None, Query(description="Team or person by id or name; the company without it.")] = None,
    period: Annotated[
        str | None, Query(description="2026, 2026-Q4 or 2026-11; the quarter of `to` without it.")
    ] = None,
    currency: Annotated[str | None, Query(description="Of records in several, the one that counts.")] = None,
    limit: Annotated[int, Query(ge=0, le=10_000, description="Records to give.")] = 100,
) -> ChangesAnswer:
    """Tell new, won, lost, moved, grown, shrunk and re-scored opportunities between two moments.

    At the moment of a kept forecast, open opportunities are those that it saw; else they follow from the records' history.
    """
    zone = desk.settings.timezone
    before, after = (find_sight(session, text, timezone=zone) for text in (since, until or desk.clock().isoformat()))
    first, last = read_period(period) if period else quarter_of(after.moment.astimezone(desk.zone).date())
    level, unit_id = find_unit(session, unit)
    scope = Scope(level=level, unit_id=unit_id, starts_on=first, ends_on=last)
    return _changes(compare_moments(session, before, after, scope, currency=currency, timezone=zone), limit, language)


def _asked(cells: pl.DataFrame, unit: str | None, run: Run) -> pl.DataFrame:
    wanted = (unit or "").strip().lower()
    same = (pl.col("unit_id").str.to_lowercase() == wanted) | (pl.col("unit_name").str.to_lowercase() == wanted)
    found = cells.filter(same) if unit else cells
    if not (found["draws"].list.len() > 0).any():
        what = f'"{unit}"' if unit else "of that level"
        raise NotFoundError(
            f"forecast {run.id} has no unit {what}; leave out `unit`, and give `level`, to see which there are"
        )
    return found


def _run(run: Run, language: Language) -> RunOut:
    return RunOut(
        id=run.id,
        version=run.version,
        as_of=run.as_of,
        kept_at=run.kept_at,
        currency=run.currency,
        remarks=say_remarks(run.remarks, language),
    )


def _row(
    row: dict[str, Any], futures: pl.Series, categories: list[CategoryOut] | None, period: Period, quota: float | None
) -> ForecastRow:
    draws = futures.cast(pl.Float64).to_numpy()
    found = cases(draws)
    return ForecastRow(
        **{name: row[name] for name in ("level", "unit_id", "unit_name", "starts_on", "ends_on", "mean")},
        whole=row["months"] == MONTHS_IN[period],
        parts=Parts(**{name: row[name] for name in Parts.model_fields}),
        ranges=Ranges(
            **{f"range_{width}": Range(low=row[f"lo-{width}"], high=row[f"hi-{width}"]) for width in (50, 80, 95)}
        ),
        cases=CasesOut(worst=found.worst, likely=found.likely, best=found.best),
        quota=None if quota is None else _quota(draws, quota),
        categories=categories,
    )


def _quota(draws: Floats, amount: float) -> QuotaAnswer:
    return QuotaAnswer(
        amount=amount,
        probability=chance_of_reaching(draws, amount),
        expected_shortfall=expected_shortfall(draws, amount),
    )


def _categories(session: Session, run: Run, totals: pl.DataFrame) -> dict[tuple[str, str, date], list[CategoryOut]]:
    """Count the open opportunities that the run saw, by unit and the first day of the period in which they are due."""
    kept = read_kept_deals(session, run.id)
    due = due_by_category(of_currency(kept, run.currency, kept["currency"]), totals)
    found: dict[tuple[str, str, date], list[CategoryOut]] = {}
    for row in due.iter_rows(named=True):
        counted = CategoryOut(**{name: row[name] for name in CategoryOut.model_fields})
        found.setdefault((row["level"], row["unit_id"], row["starts_on"]), []).append(counted)
    return found


def _changes(found: Comparison, limit: int, language: Language) -> ChangesAnswer:
    changed = found.changes
    records: Sequence[dict[str, Any]] = changed.records.head(limit).to_dicts()
    return ChangesAnswer(
        level=found.scope.level,  # type: ignore[arg-type]  # one of find_unit
        unit_id=found.scope.unit_id,
        starts_on=found.scope.starts_on,
        ends_on=found.scope.ends_on,
        currency=found.currency,
        before=_sight(found.before, changed.before),
        after=_sight(found.after, changed.after),
        bars=[BarOut(name=bar.name, count=bar.count, amount=bar.amount) for bar in changed.bars],
        records=[ChangedDeal(**record) for record in records],
        total_records=changed.records.height,
        remarks=say_remarks(changed.remarks, language),
    )


def _sight(sight: Sight, total: float) -> SightOut:
    return SightOut(
        moment=sight.moment, run_id=sight.run.id if sight.run else None, forecast=sight.expected, total=total
    )
