"""/v1/forecast/changes: what led from one expected total to another."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from forecast.runs.changes import Scope
from forecast.runs.moments import Comparison, Sight, compare_moments, find_sight, quarter_of, read_period
from forecast.runs.units import find_unit
from forecast.wording import Language, say_remarks
from serving.api.forecast import Level
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.schemas import Schema

router = APIRouter()


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
