"""GET /v1/opportunities: what is stored, with its scores."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from forecast.records import Opportunity
from forecast.wording.speaker import Speaker, read_speaker
from serving.closing import stored_closing
from serving.deps import LanguageDep, SessionDep
from serving.listing import Cursor, Filters, Stored, get_stored, list_open, past_scores
from serving.reasons import money
from serving.schemas import OpportunityAnswer, OpportunityPage, OpportunityRow
from serving.stored_scores import stored_past_score, stored_reasons, stored_score

router = APIRouter()


@router.get("/v1/opportunities", summary="List open opportunities, the most valuable first")
def list_opportunities(
    *,
    session: SessionDep,
    language: LanguageDep,
    grade: Annotated[
        Literal["high", "medium", "low"] | None, Query(description="Only those of this grade.", examples=["high"])
    ] = None,
    owner_id: Annotated[str | None, Query(description="Only those of this person.", examples=["U07"])] = None,
    team_id: Annotated[
        str | None, Query(description="The team's own, and those of its members without one.", examples=["T1"])
    ] = None,
    stage: Annotated[str | None, Query(description="Only those in this stage.", examples=["Quoted"])] = None,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=500, examples=[50])] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> OpportunityPage:
    """List open opportunities by expected value, highest first; those without one come last.

    `score` is null where an opportunity was not scored yet.
    """
    filters = Filters(grade=grade, owner_id=owner_id, team_id=team_id, stage=stage)
    after = Cursor.from_text(cursor) if cursor else None
    found = list_open(session, filters, after, limit + 1)
    page = found[:limit]
    speaker = read_speaker(session, language, [reason for stored in page for reason in stored_reasons(stored.score)])
    return OpportunityPage(
        opportunities=[_row(stored, speaker) for stored in page],
        next_cursor=page[-1].cursor.to_text() if len(found) > limit else None,
    )


@router.get("/v1/opportunities/{opportunity_id:path}", summary="Read one opportunity with its scores")
def read_opportunity(
    opportunity_id: Annotated[str, Path(description="Id of the opportunity.", examples=["O0003243"])],
    *,
    session: SessionDep,
    language: LanguageDep,
) -> OpportunityAnswer:
    """Give an opportunity as stored, its latest score, when it will close, and its newest 50 scores, newest first."""
    stored = get_stored(session, opportunity_id)
    speaker = read_speaker(session, language, stored_reasons(stored.score))
    currency = stored.opportunity.currency
    return OpportunityAnswer(
        opportunity=_columns(stored.opportunity),
        account_name=stored.account_name,
        owner_name=stored.owner_name,
        score=stored_score(stored.score, currency, speaker),
        closing=stored_closing(stored),
        score_history=[stored_past_score(score, currency) for score in past_scores(session, opportunity_id)],
    )


def _row(stored: Stored, speaker: Speaker) -> OpportunityRow:
    opportunity = stored.opportunity
    return OpportunityRow(
        id=opportunity.id,
        name=opportunity.name,
        account_id=opportunity.account_id,
        account_name=stored.account_name,
        owner_id=opportunity.owner_id,
        owner_name=stored.owner_name,
        team_id=opportunity.team_id,
        stage=opportunity.stage,
        amount=money(opportunity.amount, opportunity.currency),
        expected_close_on=opportunity.expected_close_on,
        score=stored_score(stored.score, opportunity.currency, speaker),
        closing=stored_closing(stored),
    )


def _columns(opportunity: Opportunity) -> dict[str, Any]:
    return {column.key: getattr(opportunity, column.key) for column in Opportunity.__table__.columns}
