"""POST /v1/opportunities/{id}/what-if: what the model would say if something were different."""

from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy.orm import Session

from forecast.errors import ConflictError
from forecast.policies import read_policies
from forecast.records import Opportunity
from forecast.scoring.grades import Grade
from forecast.scoring.what_if import Supposition, WhatIf, what_if
from forecast.wording import Language, moved_sentence, theme_label, warning_sentence
from forecast.wording.speaker import Speaker, read_speaker
from serving.deps import DeskDep, LanguageDep, LiveDep, SessionDep
from serving.listing import get_stored
from serving.posted import utc
from serving.reasons import money, say_reasons
from serving.schemas import (
    Amount,
    Day,
    Moment,
    Money,
    Posted,
    Reason,
    Schema,
    Share,
    ThemePart,
)
from serving.stored_history import stored_history

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


class MovedPart(ThemePart):
    """How far a theme moved the log-odds, and the same in words."""

    sentence: str


class WhatIfAnswer(Schema):
    """Both scores, and the themes that moved, in log-odds, the most first. Grades are without regard to the last one."""

    id: str
    before: SupposedScore
    after: SupposedScore
    moved: list[MovedPart]
    note: str


@router.post("/v1/opportunities/{opportunity_id:path}/what-if", summary="Suppose something about an opportunity")
def suppose(
    opportunity_id: Annotated[str, Path(description="Id of the opportunity.", examples=["O0003243"])],
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
    if stored.status != "open":
        raise ConflictError(
            f'opportunity "{stored.id}" is {stored.status}; only of open ones something can be supposed'
        )
    found = what_if(
        stored_history(stored, session, desk),
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


def _answer(found: WhatIf, stored: Opportunity, session: Session, language: Language) -> WhatIfAnswer:
    rows = (found.before, found.after)
    reasons = [reason for row in rows for reason in (*row["reasons_for"], *row["reasons_against"])]
    speaker = read_speaker(session, language, reasons)
    return WhatIfAnswer(
        id=stored.id,
        before=_score(found.before, stored.currency, speaker),
        after=_score(found.after, stored.currency, speaker),
        moved=[
            MovedPart(
                theme=theme,
                label=theme_label(theme, language),
                contribution=moved,
                sentence=moved_sentence(theme, moved, language),
            )
            for theme, moved in found.moved.items()
        ],
        note=warning_sentence("association", language),
    )


def _score(row: dict[str, Any], currency: str | None, speaker: Speaker) -> SupposedScore:
    return SupposedScore(
        probability=row["probability"],
        grade=row["grade"],
        expected_value=money(row["expected_value"], currency),
        reasons_for=say_reasons(speaker, row["reasons_for"]),
        reasons_against=say_reasons(speaker, row["reasons_against"]),
    )
