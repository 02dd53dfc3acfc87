"""Tell from the history of stages when opportunities closed, where no file says it."""

from collections import Counter
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from forecast.intake import vocabulary
from forecast.records import Change, Opportunity, Stage

KINDS = frozenset({"opportunity", "change"})
STAYED_MIN = 0.95
"""So many of those that ever entered an end stand there still, or at another end of its kind: few are opened again."""
_ELSEWHERE = {"synchronize_session": False}  # no record is loaded here
_UNDATED = sa.and_(Opportunity.status != "open", Opportunity.closed_at.is_(None))


def date_closings(session: Session) -> int:
    """Date each closed opportunity without a closing date by when it entered the stage it ended in; give how many were.

    One that went on from an end to another of the same kind, as from Won to Invoiced, closed when it entered the first. One that
    stood at such an end before its history begins, or ended elsewhere, closed at a moment that nobody knows. One that is open
    again has no closing date any more.
    """
    reopened = sa.and_(Opportunity.status == "open", Opportunity.closed_at.is_not(None))
    session.execute(sa.update(Opportunity).where(reopened).values(closed_at=None), execution_options=_ELSEWHERE)
    if not session.scalar(sa.select(sa.exists().where(_UNDATED))):
        return 0
    entered = _entered()
    ends = _read_ends(session, entered)
    if not ends:
        return 0
    closings = _closings(entered, ends)
    dated = (
        sa.update(Opportunity)
        .where(_UNDATED, Opportunity.id == closings.c.record_id)
        .where(sa.func.coalesce(Opportunity.created_at, closings.c.changed_at) <= closings.c.changed_at)
        .values(closed_at=closings.c.changed_at)
        .returning(Opportunity.id)
    )
    return len(session.scalars(dated, execution_options=_ELSEWHERE).all())


def _entered() -> sa.CTE:
    """Select moments at which a stage was entered; a history may tell of one again later."""
    before = sa.func.lag(Change.new_value).over(partition_by=Change.record_id, order_by=(Change.changed_at, Change.id))
    stage = Change.new_value.label("stage")
    told = (
        sa.select(Change.record_id, Change.id, stage, Change.changed_at, Change.old_value, before.label("before"))
        .where(Change.kind == "opportunity", Change.field == "stage")
        .where(Change.old_value.is_distinct_from(Change.new_value))
        .subquery("told")
    )
    return sa.select(told).where(told.c.stage.is_distinct_from(told.c.before)).cte("entered")


def _read_ends(session: Session, entered: sa.CTE) -> list[tuple[str, str]]:
    """Give stages that are ends, each with the statuses of those that stand there, else with what it is called.

    No open opportunity stands at an end, and hardly any has left it but for another end of the same kind.
    """
    moves, standing, called = _read_moves(session, entered), _read_standing(session), _read_called(session)
    kinds = {
        stage: _kinds(stage, last, standing.get(stage, Counter()), called.get(stage)) for stage, last in moves.items()
    }
    return [
        (stage, status)
        for stage, own in kinds.items()
        if _stayed(moves[stage], at={other for other, statuses in kinds.items() if own & statuses})
        for status in sorted(own)
    ]


def _kinds(stage: str, last: Counter[str], here: Counter[str], called: str | None) -> frozenset[str]:
    """Give the statuses that a stage may be the end of; none where open ones stand, or that is left and not called an end."""
    if here["open"]:
        return frozenset()
    name = called or vocabulary.status_words("opportunity").get(vocabulary.word_key(stage), "open")
    if here and (name != "open" or _stayed(last, at={stage})):
        return frozenset(status for status, count in here.items() if count >= (1 - STAYED_MIN) * here.total())
    return frozenset() if name == "open" else frozenset({name})


def _stayed(last: Counter[str], *, at: AbstractSet[str]) -> bool:
    return sum(last[stage] for stage in at) >= STAYED_MIN * last.total()


def _read_moves(session: Session, entered: sa.CTE) -> Mapping[str, Counter[str]]:
    """Count by each stage where those stand that ever entered it."""
    last = (
        sa.select(entered.c.record_id, entered.c.stage)
        .ext(distinct_on(entered.c.record_id))
        .order_by(entered.c.record_id, entered.c.changed_at.desc(), entered.c.id.desc())
        .cte("last")
    )
    counts = (
        sa.select(entered.c.stage, last.c.stage, sa.func.count(entered.c.record_id.distinct()))
        .join(last, last.c.record_id == entered.c.record_id)
        .where(entered.c.stage.is_not(None), last.c.stage.is_not(None))
        .group_by(entered.c.stage, last.c.stage)
    )
    return _counted(session, counts)


def _read_standing(session: Session) -> Mapping[str, Counter[str]]:
    """Count by stage the statuses of those that stand there."""
    counts = sa.select(Opportunity.stage, Opportunity.status, sa.func.count()).where(Opportunity.stage.is_not(None))
    return _counted(session, counts.group_by(Opportunity.stage, Opportunity.status))


def _counted(session: Session, counts: sa.Select[str | None, str | None, int]) -> Mapping[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for key, other, count in session.execute(counts):
        found.setdefault(key or "", Counter())[other or ""] = count
    return found


def _read_called(session: Session) -> Mapping[str, str]:
    """Give won or lost of the stages that a pipeline calls so."""
    ends = sa.select(Stage.name, Stage.kind).where(Stage.kind != "open").order_by(Stage.stored_at)
    return dict(iter(session.execute(ends)))


def _closings(entered: sa.CTE, ends: Collection[tuple[str, str]]) -> sa.Subquery:
    """Select `record_id, changed_at` of when those that are undated came to the ends at which they have been since."""
    end = (
        sa.values(sa.column("stage", sa.Text), sa.column("status", sa.Text), name="end_of").data(list(ends)).cte("ends")
    )
    here, before = end.alias("here"), end.alias("before")
    since = partial(
        sa.over, partition_by=entered.c.record_id, order_by=(entered.c.changed_at.desc(), entered.c.id.desc())
    )
    steps = (
        sa.select(
            entered.c.record_id,
            entered.c.id,
            entered.c.changed_at,
            since(sa.func.count(sa.case((here.c.stage.is_(None), 1)))).label("elsewhere"),
            since(sa.func.first_value(entered.c.stage)).label("last"),
            before.c.stage.is_not(None).label("was_there"),
            Opportunity.stage.label("stage"),
        )
        .join(Opportunity, sa.and_(Opportunity.id == entered.c.record_id, _UNDATED))
        .outerjoin(here, sa.and_(here.c.stage == entered.c.stage, here.c.status == Opportunity.status))
        .outerjoin(before, sa.and_(before.c.stage == entered.c.old_value, before.c.status == Opportunity.status))
        .subquery("steps")
    )
    first = (
        sa.select(steps.c.record_id, steps.c.changed_at, steps.c.was_there)
        .ext(distinct_on(steps.c.record_id))
        .where(steps.c.elsewhere == 0, steps.c.last == steps.c.stage)
        .order_by(steps.c.record_id, steps.c.changed_at, steps.c.id)
        .subquery("first")
    )
    return sa.select(first.c.record_id, first.c.changed_at).where(~first.c.was_there).subquery("closings")
