"""POST /v1/opportunities/{id}/what-if: what the model would say if something were different."""

from datetime import UTC
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.orm import Session

from forecast.errors import ConflictError
from forecast.grades import Grade
from forecast.policies import read_policies
from forecast.records import Activity, Change, Opportunity
from forecast.snapshot import History
from forecast.what_if import Supposition, WhatIf, what_if
from forecast.wording import Language, theme_label, warning_sentence
from serving.deps import Desk, DeskDep, LanguageDep, LiveDep, SessionDep
from serving.listing import get_stored
from serving.posted import COLUMN_TYPES, posted_history, utc
from serving.reasons import Speaker, money, read_speaker
from serving.schemas import (
    ActivityIn,
    Amount,
    ChangeIn,
    Day,
    Moment,
    Money,
    OpportunityIn,
    Posted,
    Reason,
    Schema,
    Share,
    ThemePart,
)

router = APIRouter()


class WhatIfRequest(Posted):
    """What is supposed; what is left out stays as it is."""

    amount: Amount | None = None
    expected_close_on: Day | None = None
    stage: str | None = None
    meeting_at: Annotated[Moment | None, Field(description="A meeting, planned where it lies ahead.")] = None


class SupposedScore(Schema):
    """What the model says, as things stand or as supposed."""

    probability: Share
    grade: Grade
    expected_value: Money | None
    reasons_for: list[Reason]
    reasons_against: list[Reason]


class WhatIfAnswer(Schema):
    """Both scores, and the themes that moved, in log-odds, the most first. Grades are without regard to the last one."""

    id: str
    before: SupposedScore
    after: SupposedScore
    moved: list[ThemePart]
    note: str


@router.post("/v1/opportunities/{opportunity_id:path}/what-if", summary="Suppose something about an opportunity")
def suppose(
    opportunity_id: str,
    call: WhatIfRequest,
    *,
    desk: DeskDep,
    session: SessionDep,
    live: LiveDep,
    language: LanguageDep,
) -> WhatIfAnswer:
    """Score a stored open opportunity as it stands now and as supposed; nothing is stored.

    The difference is association, not cause: opportunities that looked like this ended like that.
    """
    stored = get_stored(session, opportunity_id).opportunity
    found = what_if(
        _history(stored, session, desk),
        live.version,
        opportunity_id,
        Supposition(
            amount=None if call.amount is None else float(call.amount),
            expected_close_on=call.expected_close_on,
            stage=call.stage,
            meeting_at=None if call.meeting_at is None else utc(call.meeting_at, desk.zone),
        ),
        as_of=desk.clock().astimezone(UTC),
        policies=read_policies(session),
    )
    return _answer(found, stored, session, language)


def _history(stored: Opportunity, session: Session, desk: Desk) -> History:
    """Give the opportunity among its surroundings, as if it had been posted with all its history."""
    if stored.status != "open":
        raise ConflictError(
            f'opportunity "{stored.id}" is {stored.status}; only of open ones something can be supposed'
        )
    surroundings = desk.surroundings.get(session).history
    posted = [_as_posted(stored, session)]
    return posted_history(posted, surroundings, custom_types=surroundings.custom_types, zone=desk.zone)


def _as_posted(stored: Opportunity, session: Session) -> OpportunityIn:
    changes = session.scalars(
        sa.select(Change)
        .where(Change.kind == "opportunity", Change.record_id == stored.id)
        .order_by(Change.changed_at, Change.id)
    )
    activities = session.scalars(
        sa.select(Activity)
        .where(Activity.opportunity_id == stored.id, Activity.deleted_at.is_(None))
        .order_by(Activity.occurred_at, Activity.id)
    )
    return OpportunityIn(
        **{name: getattr(stored, name) for name in COLUMN_TYPES},
        custom=stored.custom,
        changes=[ChangeIn(**_fields(ChangeIn, change)) for change in changes],
        activities=[ActivityIn(**_fields(ActivityIn, activity)) for activity in activities],
    )


def _fields(shape: type[Schema], record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in shape.model_fields}


def _answer(found: WhatIf, stored: Opportunity, session: Session, language: Language) -> WhatIfAnswer:
    rows = (found.before, found.after)
    reasons = [reason for row in rows for reason in (*row["reasons_for"], *row["reasons_against"])]
    speaker = read_speaker(session, language, reasons)
    return WhatIfAnswer(
        id=stored.id,
        before=_score(found.before, stored.currency, speaker),
        after=_score(found.after, stored.currency, speaker),
        moved=[
            ThemePart(theme=theme, label=theme_label(theme, language), contribution=moved)
            for theme, moved in found.moved.items()
        ],
        note=warning_sentence("association", language),
    )


def _score(row: dict[str, Any], currency: str | None, speaker: Speaker) -> SupposedScore:
    return SupposedScore(
        probability=row["probability"],
        grade=row["grade"],
        expected_value=money(row["expected_value"], currency),
        reasons_for=speaker.say(row["reasons_for"]),
        reasons_against=speaker.say(row["reasons_against"]),
    )
