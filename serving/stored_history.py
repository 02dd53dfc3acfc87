"""A stored opportunity among its surroundings: what it is scored from without reading all records."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Activity, Change, Opportunity, Quote
from forecast.snapshot import History
from serving.deps import Desk
from serving.posted import COLUMN_TYPES, posted_history
from serving.schemas import ActivityIn, ChangeIn, OpportunityIn, QuoteIn, Schema


def stored_history(stored: Opportunity, session: Session, desk: Desk) -> History:
    """Give a stored open opportunity among its surroundings, as if it had been posted with all its history."""
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
    quotes = session.scalars(
        sa.select(Quote).where(Quote.opportunity_id == stored.id, Quote.deleted_at.is_(None)).order_by(Quote.id)
    )
    return OpportunityIn(
        **{name: getattr(stored, name) for name in COLUMN_TYPES},
        custom=stored.custom,
        changes=[ChangeIn(**_fields(ChangeIn, change)) for change in changes],
        activities=[ActivityIn(**_fields(ActivityIn, activity)) for activity in activities],
        quotes=[QuoteIn(**_fields(QuoteIn, quote)) for quote in quotes],
    )


def _fields(shape: type[Schema], record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in shape.model_fields}
