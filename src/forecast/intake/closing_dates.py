"""Tell from the history of stages when opportunities closed, where no file says it."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from forecast.records import Change, Opportunity

KINDS = frozenset({"opportunity", "change"})
STAYED_MIN = 0.95
"""So many of those that ever entered an end stand there still: few are opened again."""
_ELSEWHERE = {"synchronize_session": False}  # no record is loaded here


def date_closings(session: Session) -> int:
    """Date each closed opportunity without a closing date by when it entered the stage it ended in; give how many were.

    A stage is an end where no open opportunity stands, and which hardly any has left again. One that was lost elsewhere closed at
    a moment that nobody knows. One that is open again has no closing date any more.
    """
    reopened = sa.and_(Opportunity.status == "open", Opportunity.closed_at.is_not(None))
    session.execute(sa.update(Opportunity).where(reopened).values(closed_at=None), execution_options=_ELSEWHERE)
    undated = sa.and_(Opportunity.status != "open", Opportunity.closed_at.is_(None))
    if not session.scalar(sa.select(sa.exists().where(undated))):
        return 0
    entered = _entered()
    last = (
        sa.select(entered.c.record_id, entered.c.stage, entered.c.changed_at)
        .ext(distinct_on(entered.c.record_id))
        .order_by(entered.c.record_id, entered.c.changed_at.desc(), entered.c.id.desc())
        .cte("last")
    )
    ends = _ends(entered, last)
    dated = (
        sa.update(Opportunity)
        .where(undated, Opportunity.id == last.c.record_id, Opportunity.stage == last.c.stage, last.c.stage.in_(ends))
        .where(sa.func.coalesce(Opportunity.created_at, last.c.changed_at) <= last.c.changed_at)
        .values(closed_at=last.c.changed_at)
        .returning(Opportunity.id)
    )
    return len(session.scalars(dated, execution_options=_ELSEWHERE).all())


def _entered() -> sa.CTE:
    """Select `record_id, id, stage, changed_at` of moments at which a stage was entered; a history may tell of one again later."""
    order = (Change.changed_at, Change.id)
    before = sa.func.lag(Change.new_value).over(partition_by=Change.record_id, order_by=order)
    told = (
        sa.select(
            Change.record_id, Change.id, Change.new_value.label("stage"), Change.changed_at, before.label("before")
        )
        .where(Change.kind == "opportunity", Change.field == "stage")
        .where(Change.old_value.is_distinct_from(Change.new_value))
        .subquery("told")
    )
    return (
        sa.select(told.c.record_id, told.c.id, told.c.stage, told.c.changed_at)
        .where(told.c.stage.is_distinct_from(told.c.before))
        .cte("entered")
    )


def _ends(entered: sa.CTE, last: sa.CTE) -> sa.Select[str | None]:
    ever = (
        sa.select(entered.c.stage, sa.func.count(entered.c.record_id.distinct()).label("records"))
        .group_by(entered.c.stage)
        .subquery("ever")
    )
    return (
        sa.select(last.c.stage)
        .join(ever, ever.c.stage == last.c.stage)
        .where(last.c.stage.not_in(_open_stages()))
        .group_by(last.c.stage, ever.c.records)
        .having(sa.func.count() >= STAYED_MIN * ever.c.records)
    )


def _open_stages() -> sa.Select[str | None]:
    return sa.select(Opportunity.stage).where(Opportunity.status == "open", Opportunity.stage.is_not(None))
