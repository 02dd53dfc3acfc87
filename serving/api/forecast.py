"""/v1/forecast: what revenue will be, as kept, and what changed."""

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
from forecast.runs.deals import read_kept_deals
from forecast.runs.outlook import say_cut_off
from forecast.wording import Language, say_remarks
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.listing import Cursor, unknown_cursor
from serving.posted import utc
from serving.schemas import Moment, Schema, Share

RUNS_MAX = 100
UNITS_MAX = 1000
RUN_NUMBER_MAX = 2**63 - 1
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
    """What the forecast is made of: `mean` weighs `won` + `open` + `new` against `series`.

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
    """A page of a kept forecast, company first, then units by id, each by period; `next_cursor` is missing on the last.

    `remarks` say what of the question the forecast leaves open, those of `run` what it is made of.
    """

    run: RunOut
    forecast: list[ForecastRow]
    next_cursor: str | None
    remarks: list[str]


class RunsAnswer(Schema):
    """The newest kept forecasts, newest first."""

    runs: list[RunOut]


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
    run: Annotated[
        int | None, Query(ge=1, le=RUN_NUMBER_MAX, description="The number of a kept forecast, instead of the newest.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=UNITS_MAX, description="At most so many units.")] = UNITS_MAX,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before; it is of the same forecast.")
    ] = None,
    if_none_match: Annotated[str | None, Header(description="ETag of the answer that you have: then 304.")] = None,
) -> ForecastAnswer | Response:
    """Give a kept forecast by month, quarter or year, with its parts, ranges and cases, and answer for a quota.

    Forecasts are made and kept by `forecast outlook`; nothing is computed anew, and what is kept never changes: the `ETag` of
    an answer holds until another forecast answers the same question.
    """
    page_of, after = (run, "") if cursor is None else _place(cursor)
    if page_of is not None:
        found = get_run(session, page_of)
    else:
        found = get_newest_run(session, until=utc(as_of, desk.zone) if as_of else None, currency=currency)
    headers = {"ETag": f'"{found.id}.{language}.{request.app.version}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and headers["ETag"] in if_none_match.replace("W/", "").split(", "):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    cells = _asked(read_cells(session, found.id, level=level or (None if unit else COMPANY)), unit, found)
    months = cells.filter(pl.col("draws").list.len() > 0)["month"]
    totals = period_totals(cells, period).filter(pl.col("ends_on") >= months.min())
    if horizon is not None:
        totals = totals.filter(pl.col("starts_on").rank("dense") <= horizon)
    totals, last = _page(totals, after, limit)
    categories = _categories(session, found, totals)
    rows = [
        _row(row, draws, categories.get((row["level"], row["unit_id"], row["starts_on"])), period, quota)
        for row, draws in zip(totals.drop("draws").iter_rows(named=True), totals["draws"], strict=True)
    ]
    return ForecastAnswer(
        run=_run(found, language),
        forecast=rows,
        next_cursor=None if last is None else Cursor(value=found.id, record_id=last).to_text(),
        remarks=say_remarks(say_cut_off(found, months, horizon, period), language),
    )


@router.get("/v1/forecast/runs", summary="List kept forecasts")
def read_runs(
    session: SessionDep,
    language: LanguageDep,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=RUNS_MAX)] = 20,
) -> RunsAnswer:
    """List the kept forecasts by the moment that they are of, newest first."""
    return RunsAnswer(runs=[_run(run, language) for run in list_runs(session)[:limit]])


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


def _place(cursor: str) -> tuple[int, str]:
    """Read the number of the forecast, and the level and unit after which a page begins."""
    after = Cursor.from_text(cursor)
    if after.value is None or not 1 <= after.value < RUN_NUMBER_MAX:
        raise unknown_cursor(cursor)
    return int(after.value), after.record_id


def _page(totals: pl.DataFrame, after: str, limit: int) -> tuple[pl.DataFrame, str | None]:
    """Keep the totals of the units of a page, and name its last where more follow."""
    place = pl.concat_str("level", pl.lit(" "), "unit_id")
    coming = totals.select(place.alias("place"))["place"].unique().sort()
    coming = coming.filter(coming > after)
    shown = totals.filter(place.is_in(coming.head(limit).implode())).sort(place, "starts_on")
    return shown, coming[limit - 1] if coming.len() > limit else None


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
