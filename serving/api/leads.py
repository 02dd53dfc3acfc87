"""GET /v1/leads: what is stored, with its scores."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from forecast.records import Lead
from forecast.wording.speaker import Speaker, read_speaker
from serving.deps import LEAD_MODEL, LanguageDep, SessionDep
from serving.lead_listing import LeadFilters, StoredLead, get_stored_lead, list_open_leads
from serving.listing import Cursor, past_scores
from serving.schemas import PastScore, Schema, Score
from serving.stored_scores import stored_past_score, stored_reasons, stored_score

router = APIRouter()


class LeadRow(Schema):
    """An open lead in a list."""

    id: str
    name: str | None
    company: str | None
    owner_id: str | None
    owner_name: str | None
    source: str | None
    campaign_id: str | None
    campaign_name: str | None
    created_at: datetime | None
    score: Score | None


class LeadPage(Schema):
    """A page of a list; `next_cursor` is missing on the last."""

    leads: list[LeadRow]
    next_cursor: str | None


class LeadAnswer(Schema):
    """A lead as stored, its latest score, and its newest scores."""

    lead: dict[str, Any]
    owner_name: str | None
    campaign_name: str | None
    score: Score | None
    score_history: list[PastScore]


@router.get("/v1/leads", summary="List open leads, the most promising first")
def list_leads(
    *,
    session: SessionDep,
    language: LanguageDep,
    grade: Annotated[
        Literal["high", "medium", "low"] | None, Query(description="Only those of this grade.", examples=["high"])
    ] = None,
    owner_id: Annotated[str | None, Query(description="Only those of this person.", examples=["U07"])] = None,
    team_id: Annotated[str | None, Query(description="Those of its members.", examples=["T1"])] = None,
    source: Annotated[str | None, Query(description="Only those from this source.", examples=["Referral"])] = None,
    campaign_id: Annotated[str | None, Query(description="Only those of this campaign.", examples=["K03"])] = None,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=500, examples=[50])] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> LeadPage:
    """List open leads by probability, highest first; those without a score come last.

    `score` is null where a lead was not scored yet, or is older than the horizon of the model.
    """
    filters = LeadFilters(grade=grade, owner_id=owner_id, team_id=team_id, source=source, campaign_id=campaign_id)
    after = Cursor.from_text(cursor) if cursor else None
    found = list_open_leads(session, filters, after, limit + 1)
    page = found[:limit]
    speaker = read_speaker(
        session, language, [reason for stored in page for reason in stored_reasons(stored.score)], kind="lead"
    )
    return LeadPage(
        leads=[_row(stored, speaker) for stored in page],
        next_cursor=page[-1].cursor.to_text() if len(found) > limit else None,
    )


@router.get("/v1/leads/{lead_id:path}", summary="Read one lead with its scores")
def read_lead(
    lead_id: Annotated[str, Path(description="Id of the lead.", examples=["N000567"])],
    session: SessionDep,
    language: LanguageDep,
) -> LeadAnswer:
    """Give a lead as stored, its latest score, and its newest 50 scores, newest first."""
    stored = get_stored_lead(session, lead_id)
    speaker = read_speaker(session, language, stored_reasons(stored.score), kind="lead")
    return LeadAnswer(
        lead={column.key: getattr(stored.lead, column.key) for column in Lead.__table__.columns},
        owner_name=stored.owner_name,
        campaign_name=stored.campaign_name,
        score=stored_score(stored.score, None, speaker),
        score_history=[stored_past_score(score, None) for score in past_scores(session, lead_id, model=LEAD_MODEL)],
    )


def _row(stored: StoredLead, speaker: Speaker) -> LeadRow:
    lead = stored.lead
    return LeadRow(
        id=lead.id,
        name=lead.name,
        company=lead.company,
        owner_id=lead.owner_id,
        owner_name=stored.owner_name,
        source=lead.source,
        campaign_id=lead.campaign_id,
        campaign_name=stored.campaign_name,
        created_at=lead.created_at,
        score=stored_score(stored.score, None, speaker),
    )
