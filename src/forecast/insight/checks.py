"""Checks that the database answers by counting: impossible values, references, stale records, duplicates, history."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.insight.findings import EXAMPLES_MAX, Coverage, Finding
from forecast.records import BOOKKEEPING, RECORD_KINDS, Activity, Case, Change, CustomField, Lead, Opportunity, Record

OVERDUE_DAYS = 30
CASE_DAYS = 30
STAGED_SHARE_MIN = 0.5

_NAMED_BY_PEOPLE = ("account", "campaign", "contact", "lead", "opportunity", "person", "product", "team")
_PERSONS = frozenset({"owner_id", "person_id", "manager_id"})
# Every opportunity has a pipeline, "default" where its CRM knows none; that one needs no record.
_UNDESCRIBED = frozenset({"pipeline_id"})

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is wrong with a record where `broken` holds; only those where `among` holds are looked at."""

    code: str
    kind: str
    broken: Condition
    among: Condition = sa.true()  # noqa: RUF009 - an expression is immutable
    field: str | None = None


def _table(kind: str) -> type[Record]:
    return RECORD_KINDS[kind]


def alive(kind: str) -> Condition:
    """Hold where a record was not deleted."""
    return _table(kind).deleted_at.is_(None)


def read_coverage(session: Session) -> tuple[Coverage, ...]:
    """Count, for each kind that has records, how many fill each column and each custom field."""
    custom: dict[str, list[str]] = {}
    for kind, name in session.execute(sa.select(CustomField.kind, CustomField.name).order_by(CustomField.name)):
        custom.setdefault(kind, []).append(name)
    return tuple(row for kind in RECORD_KINDS for row in _coverage(session, kind, custom.get(kind, [])))


def _coverage(session: Session, kind: str, custom: Sequence[str]) -> Iterator[Coverage]:
    table = _table(kind)
    fields: dict[str, sa.ColumnElement[Any]] = {
        column.name: column for column in table.__table__.columns if column.name not in BOOKKEEPING - {"created_at"}
    }
    fields |= {f"custom.{name}": table.custom.op("->>")(name) for name in custom}
    counts = session.execute(
        sa.select(sa.func.count(), *(sa.func.count(value) for value in fields.values())).where(alive(kind))
    ).one()
    if counts[0]:
        for name, filled in zip(fields, counts[1:], strict=True):
            yield Coverage(kind=kind, field=name, filled=filled, total=counts[0])


def impossible_values(now: datetime) -> list[Rule]:
    """List the rules on values that can't be true."""
    deal, done = Opportunity, Opportunity.status != "open"
    return [
        *_impossible_moments(Opportunity, now),
        *_impossible_moments(Lead, now),
        Rule(code="H102", kind="opportunity", field="amount", broken=deal.amount < 0, among=deal.amount.is_not(None)),
        Rule(
            code="H103",
            kind="opportunity",
            broken=sa.func.coalesce(sa.func.nullif(deal.won_amount, 0), deal.amount, 0) == 0,
            among=deal.status == "won",
        ),
        Rule(
            code="H104",
            kind="opportunity",
            field="expected_close_on",
            broken=deal.expected_close_on < sa.cast(deal.created_at, sa.Date) - 1,
            among=deal.expected_close_on.is_not(None),
        ),
        _outside("H107", deal.seller_probability, 0, 1),
        *(_outside("H108", column, 1, 5) for column in (deal.need_fit, deal.purchasing_power, deal.competition)),
        Rule(code="H109", kind="activity", broken=_refers_to_nothing()),
        Rule(code="H503", kind="opportunity", field="closed_at", broken=deal.closed_at.is_(None), among=done),
        Rule(code="H503", kind="lead", field="closed_at", broken=Lead.closed_at.is_(None), among=Lead.status != "open"),
    ]


def _impossible_moments(table: type[Opportunity] | type[Lead], now: datetime) -> Iterator[Rule]:
    kind = table.__tablename__
    closed = table.status != "open"
    yield Rule(code="H101", kind=kind, field="closed_at", broken=table.closed_at < table.created_at, among=closed)
    yield Rule(code="H105", kind=kind, field="created_at", broken=table.created_at > now)
    yield Rule(code="H106", kind=kind, field="closed_at", broken=table.closed_at > now, among=closed)
    yield Rule(code="H502", kind=kind, field="created_at", broken=table.created_at.is_(None))


def _outside(code: str, column: Any, low: float, high: float) -> Rule:
    return Rule(
        code=code,
        kind="opportunity",
        field=column.key,
        broken=~column.between(low, high),
        among=column.is_not(None),
    )


def _refers_to_nothing() -> Condition:
    columns = (Activity.opportunity_id, Activity.lead_id, Activity.account_id, Activity.contact_id)
    return sa.and_(*(column.is_(None) for column in columns))


def stale_records(now: datetime) -> list[Rule]:
    """List the rules on open opportunities that are overdue and cases that nobody seems to work on."""
    deal = Opportunity
    overdue = deal.expected_close_on <= sa.literal((now - timedelta(days=OVERDUE_DAYS)).date(), sa.Date)
    return [
        Rule(
            code="H302",
            kind="opportunity",
            field="expected_close_on",
            broken=overdue,
            among=deal.status == "open",
        ),
        *_waiting_cases(now),
    ]


def _waiting_cases(now: datetime) -> Iterator[Rule]:
    """Look at cases of sources that say when a case was closed; elsewhere all of them look open."""
    closing = sa.orm.aliased(Case)
    told = sa.exists().where(closing.source_system == Case.source_system, closing.closed_at.is_not(None))
    waiting = sa.and_(Case.created_at < now - timedelta(days=CASE_DAYS), told)
    yield Rule(code="H306", kind="case", broken=waiting, among=Case.closed_at.is_(None))


def count_staged(session: Session, now: datetime) -> tuple[int, int]:
    """Count the closed opportunities, and those of them whose moves between stages are known."""
    ((total, unstaged),) = _count_broken(session, "opportunity", [_unstaged(now)])
    return total, total - unstaged


def find_unstaged(session: Session, now: datetime, *, closed: int, staged: int) -> Iterator[Finding]:
    """Find closed opportunities whose moves between stages are not known, where they are more than half."""
    if staged < STAGED_SHARE_MIN * closed:
        yield _finding(session, _unstaged(now), count=closed - staged, total=closed)


def _unstaged(now: datetime) -> Rule:
    deal = Opportunity
    moved = sa.exists().where(
        Change.kind == "opportunity", Change.field == "stage", Change.record_id == deal.id, Change.changed_at < now
    )
    return Rule(code="H501", kind="opportunity", field="stage", broken=~moved, among=deal.status != "open")


def dangling_references(session: Session, coverage: Sequence[Coverage]) -> Iterator[Finding]:
    """Find references to records that are not there, by the columns that hold one; those of one kind cost one pass."""
    imported = {row.kind for row in coverage}
    for kind, rows in groupby(coverage, key=lambda row: row.kind):
        references = [(row, target) for row in rows if row.filled and (target := _target(row)) is not None]
        rules = [_dangling(row, target, imported) for row, target in references]
        for (row, _), rule, (_, count) in zip(references, rules, _count_broken(session, kind, rules), strict=True):
            if count:
                yield _finding(session, rule, count=count, total=row.filled)


def _dangling(row: Coverage, target: str, imported: Collection[str]) -> Rule:
    """Say what breaks a reference; one to a kind that was never imported is of another code."""
    column = getattr(_table(row.kind), row.field)
    if target not in imported:
        return Rule(code="H202", kind=row.kind, field=row.field, broken=column.is_not(None))
    described = column.in_(sa.select(sa.orm.aliased(_table(target)).id))
    return Rule(code="H201", kind=row.kind, field=row.field, broken=sa.and_(column.is_not(None), ~described))


def _target(row: Coverage) -> str | None:
    """Give the kind that a field refers to."""
    if not row.field.endswith("_id") or row.field.startswith("custom.") or row.field in _UNDESCRIBED:
        return None
    if row.field in _PERSONS:
        return "person"
    target = row.kind if row.field == "parent_id" else row.field.removesuffix("_id")
    return target if target in RECORD_KINDS else None


def duplicate_ids(session: Session) -> Iterator[Finding]:
    """Find ids that are equal but for case and spaces, of kinds whose ids people type."""
    for kind in _NAMED_BY_PEOPLE:
        table = _table(kind)
        plain = sa.func.translate(sa.func.lower(table.id), " \t\u00a0\u3000", "")
        repeated = sa.select(plain).where(alive(kind)).group_by(plain).having(sa.func.count() > 1)
        if session.execute(repeated.limit(1)).first():
            yield from find_broken(session, [Rule(code="H401", kind=kind, field="id", broken=plain.in_(repeated))])


def find_broken(session: Session, rules: Sequence[Rule]) -> Iterator[Finding]:
    """Give a finding for each rule that some record breaks; the rules on one kind cost one pass."""
    for kind, group in groupby(sorted(rules, key=lambda rule: rule.kind), key=lambda rule: rule.kind):
        of_kind = list(group)
        for rule, (total, count) in zip(of_kind, _count_broken(session, kind, of_kind), strict=True):
            if count:
                yield _finding(session, rule, count=count, total=total)


def _count_broken(session: Session, kind: str, rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Count, for each rule, the records it looks at and those that break it."""
    counts = [
        sa.func.count().filter(condition)
        for rule in rules
        for condition in (rule.among, sa.and_(rule.among, rule.broken))
    ]
    if not rules:
        return []
    found = session.execute(sa.select(*counts).select_from(_table(kind)).where(alive(kind))).one()
    return list(zip(found[::2], found[1::2], strict=True))


def _finding(session: Session, rule: Rule, *, count: int, total: int) -> Finding:
    table = _table(rule.kind)
    broken = sa.select(table.id).where(alive(rule.kind), rule.among, rule.broken)
    return Finding(
        code=rule.code,
        kind=rule.kind,
        field=rule.field,
        count=count,
        total=total,
        examples=tuple(session.scalars(broken.order_by(table.id).limit(EXAMPLES_MAX))),
    )
