"""/v1/targets: quotas and where they stand, and proposals that divide a target."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field, TypeAdapter, ValidationError

from forecast.errors import NotFoundError
from forecast.records import Person, Team
from forecast.revenue.questions import Period
from forecast.targets.attainment import Attainment
from forecast.targets.proposal import Edit, Proposal, propose
from forecast.targets.quotas import Target
from forecast.targets.reading import Adviser, judge_proposal, quota_records, read_adviser, read_attainments
from forecast.targets.smart import check_target
from forecast.wording import Language, say_remarks
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.listing import Cursor, unknown_cursor
from serving.posted import utc
from serving.schemas import Amount, Day, Moment, Posted, Schema, Share

router = APIRouter()
TargetLevel = Literal["company", "team", "person"]
Place = tuple[int, str, str, str, str]
QUOTAS_MAX = 1000


class CheckOut(Schema):
    """One criterion of a sound target; `passed` is null where it can't be told."""

    criterion: Literal["measurable", "attainable", "dated", "owned"]
    passed: bool | None
    label: str
    sentence: str


class OutlookOut(Schema):
    """What will have been booked by `until`: the end of the period, or of the forecast where that comes first.

    `probability` of attaining the target and `expected_shortfall` are null where the forecast ends before the period.
    """

    mean: float
    low: Annotated[float, Field(description="Lower bound of 80 %.")]
    high: Annotated[float, Field(description="Upper bound of 80 %.")]
    until: date
    probability: Share | None
    expected_shortfall: float | None


class NeededOut(Schema):
    """Further opportunities that would close the gap at the usual share won and amount.

    `in_time_share` of the usual wins come as soon as the period ends.
    """

    opportunities: int
    won_share: Share
    won_amount: float
    in_time_share: Share | None


class TargetOut(Schema):
    """A target, how far it is reached, how far it will be, and how likely; `quota_id` is null of a proposal."""

    quota_id: str | None
    level: TargetLevel
    unit_id: str
    unit_name: str | None
    starts_on: date | None
    ends_on: date | None
    metric: str
    amount: float | None
    currency: str | None
    attained: Annotated[float | None, Field(description="Booked so far; null where the target is not of revenue.")]
    attained_share: float | None
    outlook: OutlookOut | None
    gap: float | None
    needed: NeededOut | None
    checks: list[CheckOut]


class TargetsAnswer(Schema):
    """A page of quotas with where they stand, company first, then teams, then persons; `next_cursor` is missing on the last."""

    as_of: datetime
    run_id: Annotated[int | None, Field(description="The kept forecast they are judged by.")]
    targets: list[TargetOut]
    next_cursor: str | None
    remarks: list[str]


class EditIn(Posted):
    """An amount that is decided by hand: of a unit, for the year, or for the period that begins on `starts_on`."""

    level: TargetLevel
    unit_id: str = ""
    starts_on: Day | None = None
    amount: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ProposalRequest(Posted):
    """A company's target for a year, and what of it is decided already."""

    amount: Annotated[Amount, Field(gt=0)]
    year: Annotated[int, Field(ge=1970, le=2200)]
    period: Period = "month"
    currency: str | None = None
    as_of: Moment | None = None
    edits: Annotated[list[EditIn], Field(max_length=1000, default_factory=list)]


class QuotaRecord(Schema):
    """A record of kind quota; send it on to `POST /v1/records/quota/bulk` to adopt it."""

    id: str
    person_id: str | None = None
    team_id: str | None = None
    starts_on: date
    ends_on: date
    metric: str
    amount: Decimal
    currency: str | None


class ShareOut(Schema):
    """A unit's target of the whole year as if it were adopted, beside what it booked in the last twelve months."""

    booked_last_year: float
    target: TargetOut


class ProposalAnswer(Schema):
    """A divided target: nothing is stored.

    Parts add up to their wholes, to the cent.
    """

    units: list[ShareOut]
    quotas: list[QuotaRecord]
    remarks: list[str]


@router.get("/v1/targets", summary="Say where targets stand")
def read_targets(
    *,
    session: SessionDep,
    desk: DeskDep,
    language: LanguageDep,
    year: Annotated[
        int | None, Query(ge=1970, le=2200, description="Quotas with a day in it; else running ones.")
    ] = None,
    unit: Annotated[str | None, Query(description="Id of a team or person; `company` for the company's own.")] = None,
    currency: Annotated[str | None, Query(description="Of quotas without one; else that of the forecast.")] = None,
    as_of: Annotated[Moment | None, Query(description="As it stood at a past moment.")] = None,
    limit: Annotated[int, Query(ge=1, le=QUOTAS_MAX, description="At most so many.")] = QUOTAS_MAX,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> TargetsAnswer:
    """Give quotas with what is attained, projected and missing, judged by the newest kept forecast.

    Opportunities and orders are read as they were known then, with changes of what counts in the periods asked for.

    Raises:
        NotFoundError: the unit is unknown.
    """
    moment = utc(as_of, desk.zone) if as_of else desk.clock()
    today = moment.astimezone(desk.zone).date()
    first, last = (date(year, 1, 1), date(year, 12, 31)) if year else (today, today)
    wanted = "" if unit == "company" else unit
    if wanted and session.get(Person, wanted) is None and session.get(Team, wanted) is None:
        raise NotFoundError(f'"{unit}" is the id of no team or person, and not "company"')
    after = _place(cursor) if cursor else None

    def choose(targets: Sequence[Target]) -> Sequence[Target]:
        """Keep those that were asked for and come after the page before, and one more."""
        asked = (target for target in targets if wanted in {None, target.unit_id})
        return [target for target in asked if after is None or target.place > after][: limit + 1]

    found = read_attainments(
        session, first, last, as_of=moment, timezone=desk.settings.timezone, currency=currency, choose=choose
    )
    page = found.attainments[:limit]
    return TargetsAnswer(
        as_of=moment,
        run_id=found.run.id if found.run else None,
        targets=[_target(one, language) for one in page],
        next_cursor=_cursor(page[-1].target) if len(found.attainments) > limit else None,
        remarks=say_remarks(found.remarks, language),
    )


@router.post("/v1/targets/proposal", summary="Divide a company's target")
def propose_targets(call: ProposalRequest, session: SessionDep, desk: DeskDep, language: LanguageDep) -> ProposalAnswer:
    """Divide a target among teams, persons and months by the past, the season and the pipeline; nothing is stored.

    `edits` fix parts, and the rest shares what is left as before. To adopt, send `quotas` as JSON lines to
    `POST /v1/records/quota/bulk`; adopting another proposal for the same year and period changes the same records.
    """
    moment = utc(call.as_of, desk.zone) if call.as_of else desk.clock()
    adviser = read_adviser(session, as_of=moment, currency=call.currency, timezone=desk.settings.timezone)
    edits = [Edit(**edit.model_dump()) for edit in call.edits]
    found = propose(float(call.amount), call.year, adviser.sellers, period=call.period, edits=edits)
    return ProposalAnswer(
        units=list(_shares(found, adviser, language)),
        quotas=[QuotaRecord(**record) for record in quota_records(found, currency=adviser.currency)],
        remarks=say_remarks(found.remarks, language),
    )


def _cursor(target: Target) -> str:
    return Cursor(value=None, record_id=json.dumps(target.place)).to_text()


def _place(cursor: str) -> Place:
    """Read where a page of quotas ended."""
    try:
        return TypeAdapter(Place).validate_json(Cursor.from_text(cursor).record_id)
    except ValidationError as error:
        raise unknown_cursor(cursor) from error


def _shares(found: Proposal, adviser: Adviser, language: Language) -> Iterable[ShareOut]:
    for one in judge_proposal(found, adviser):
        booked = found.booked_last_year(one.target.level, one.target.unit_id)
        yield ShareOut(booked_last_year=booked, target=_target(one, language))


def _target(found: Attainment, language: Language) -> TargetOut:
    target, outlook, needed = found.target, found.outlook, found.needed
    fields = ("quota_id", "level", "unit_id", "unit_name", "starts_on", "ends_on", "metric", "amount", "currency")
    return TargetOut(
        **{name: getattr(target, name) for name in fields},
        attained=found.attained,
        attained_share=None if found.attained is None or not target.amount else found.attained / target.amount,
        outlook=None
        if outlook is None
        else OutlookOut(
            mean=outlook.mean,
            low=outlook.low,
            high=outlook.high,
            until=outlook.until,
            probability=outlook.probability,
            expected_shortfall=outlook.shortfall,
        ),
        gap=found.gap,
        needed=None
        if needed is None
        else NeededOut(**{name: getattr(needed, name) for name in NeededOut.model_fields}),
        checks=[
            CheckOut(criterion=check.criterion, passed=check.passed, label=check.label, sentence=check.sentence)
            for check in check_target(found, language)
        ],
    )
