"""Stored leads with their scores: one page at a time, or one whole."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import NotFoundError
from forecast.records import Campaign, Lead, Person, Score
from forecast.scoring.grades import Grade
from serving.deps import LEAD_MODEL
from serving.listing import Cursor, comes_after, where_given


@dataclass(frozen=True, kw_only=True)
class LeadFilters:
    """Which open leads are listed; a team's are those of its members."""

    grade: Grade | None = None
    owner_id: str | None = None
    team_id: str | None = None
    source: str | None = None
    campaign_id: str | None = None


@dataclass(frozen=True)
class StoredLead:
    """A lead with its names and latest score, where there are any."""

    lead: Lead
    owner_name: str | None
    campaign_name: str | None
    score: Score | None

    @property
    def cursor(self) -> Cursor:
        """Where a page that ends here ends."""
        return Cursor(value=self.score.probability if self.score else None, record_id=self.lead.id)


def list_open_leads(session: Session, filters: LeadFilters, after: Cursor | None, limit: int) -> list[StoredLead]:
    """List open leads by probability, highest first, those without a score last, then by id."""
    asked: dict[sa.SQLColumnExpression[Any], object] = {
        Score.grade: filters.grade,
        Lead.owner_id: filters.owner_id,
        Person.team_id: filters.team_id,
        Lead.source: filters.source,
        Lead.campaign_id: filters.campaign_id,
    }
    statement = (
        _with_names_and_score()
        .where(Lead.status == "open", Lead.deleted_at.is_(None), *where_given(asked))
        .order_by(Score.probability.desc().nulls_last(), Lead.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(comes_after(after, Score.probability, Lead.id))
    return [StoredLead(*row) for row in session.execute(statement)]


def get_stored_lead(session: Session, lead_id: str) -> StoredLead:
    """Find a lead by its id, open or not.

    Raises:
        NotFoundError: there is none.
    """
    statement = _with_names_and_score().where(Lead.id == lead_id, Lead.deleted_at.is_(None))
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(
            f'no lead "{lead_id}" is stored; import it, or score it without storing by POST /v1/leads/score'
        )
    return StoredLead(*row)


def _with_names_and_score() -> sa.Select[*tuple[Any, ...]]:
    latest = sa.and_(Score.record_id == Lead.id, Score.model == LEAD_MODEL, Score.latest)
    return (
        sa.select(Lead, Person.name, Campaign.name, Score)
        .outerjoin(Person, Person.id == Lead.owner_id)
        .outerjoin(Campaign, Campaign.id == Lead.campaign_id)
        .outerjoin(Score, latest)
    )
