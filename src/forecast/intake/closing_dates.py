"""Tell from the history of stages when opportunities closed, where no file says it."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from forecast.records import Change, Opportunity

KINDS = frozenset({"opportunity", "change"})
STAYED_MIN = 0.95
"""So many of those that ever entered an end stand there still: few are opened again."""


def date_closings(session: Session) -> int:
    """Date each closed opportunity without a closing date by when it entered the stage it ended in; give how many were.

    A stage is an end where no open opportunity stands, and which hardly any has left again. One that was lost elsewhere closed at
    a moment that nobody knows.
    """
    undated = sa.and_(Opportunity.status != "open", Opportunity.closed_at.is_(None))
    if not session.scalar(sa.select(sa.exists().where(undated))):
        return 0
    moved = sa.and_(Change.kind == "opportunity", Change.field == "stage")
    last = (
        sa.select(Change.record_id, Change.new_value.label("stage"), Change.changed_at)
        .ext(distinct_on(Change.record_id))
        .where(moved)
        .order_by(Change.record_id, Change.changed_at.desc(), Change.id.desc())
        .cte("last")
    )
    ever = (
        sa.select(Change.new_value.label("stage"), sa.func.count(Change.record_id.distinct()).label("records"))
        .where(moved)
        .group_by(Change.new_value)
        .subquery("ever")
    )
    ends = (
        sa.select(last.c.stage)
        .join(ever, ever.c.stage == last.c.stage)
        .where(last.c.stage.not_in(_open_stages()))
        .group_by(last.c.stage, ever.c.records)
        .having(sa.func.count() >= STAYED_MIN * ever.c.records)
    )
    dated = (
        sa.update(Opportunity)
        .where(undated, Opportunity.id == last.c.record_id, Opportunity.stage == last.c.stage, last.c.stage.in_(ends))
        .where(sa.func.coalesce(Opportunity.created_at, last.c.changed_at) <= last.c.changed_at)
        .values(closed_at=last.c.changed_at)
        .returning(Opportunity.id)
        .execution_options(synchronize_session=False)
    )
    return len(session.scalars(dated).all())


def _open_stages() -> sa.Select[str | None]:
    return sa.select(Opportunity.stage).where(Opportunity.status == "open", Opportunity.stage.is_not(None))
