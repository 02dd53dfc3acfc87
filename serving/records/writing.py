"""Edits into the database: in order, with the history of fields that imports write too, and the audit trail."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa
from psycopg.errors import LockNotAvailable
from pydantic_core import to_jsonable_python
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from forecast.errors import ConflictError, ForecastError, InputError, NotFoundError
from forecast.intake.upsert import create_staging, lock_kind, stage, store_staged
from forecast.records import AuditEvent, CustomField, get_table
from serving.records.custom import read_custom_types
from serving.records.edits import Edit, Row
from serving.records.merged import find_merged_away
from serving.records.schemas import IDENTITY, fields_of

Action = Literal["create", "update", "delete", "restore"]
Refusal = ForecastError | HTTPException

LOCK_WAIT = "20s"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of one edit: the row as it is stored now, and what was done; nothing where it was so already."""

    row: Row
    action: Action | None


@dataclass(frozen=True, kw_only=True)
class _Step:
    action: Action
    before: Row | None
    after: Row


def write_record(session: Session, kind: str, edit: Edit, *, actor: str, clock: Callable[[], datetime]) -> Written:
    """Make one edit; errors as the edit raises them."""
    (outcome,) = write_records(session, kind, [edit], actor=actor, clock=clock)
    if isinstance(outcome, Written):
        return outcome
    raise outcome


def write_records(
    session: Session, kind: str, edits: Sequence[Edit], *, actor: str, clock: Callable[[], datetime]
) -> list[Written | Refusal]:
    """Make edits in their order; one that is refused does not stop the others.

    The moment is read once no import and no other request is writing records of this kind: what is stored later has a
    later `stored_at`.
    """
    _wait_for_others(session, kind)
    now = clock()
    stored = read_rows(session, kind, [edit.record_id for edit in edits])
    current = dict(stored)
    steps: list[_Step] = []
    outcomes = [_pointed(session, kind, edit.record_id, _make(edit, current, steps, now)) for edit in edits]
    if steps:
        _store(session, kind, steps, now)
        session.execute(sa.insert(AuditEvent), [_event(step, kind, actor, now) for step in steps])
        current |= read_rows(session, kind, list({step.after["id"] for step in steps}))
    return [replace(one, row=current[one.row["id"]]) if isinstance(one, Written) else one for one in outcomes]


def _wait_for_others(session: Session, kind: str) -> None:
    try:
        session.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
        lock_kind(session, kind)
        # Merges lock whole tables, this one before that of changes: taken in another order, two would wait for each other.
        session.execute(sa.text(f'LOCK TABLE "{get_table(kind).name}" IN ROW EXCLUSIVE MODE'))
    except sa.exc.OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"records of kind {kind} are being imported or merged; try again when that is done",
            headers={"Retry-After": "30"},
        ) from error


def _make(edit: Edit, current: dict[str, Row], steps: list[_Step], now: datetime) -> Written | Refusal:
    before = current.get(edit.record_id)
    try:
        after = edit.change(before, now)
    except (InputError, ConflictError, NotFoundError, HTTPException) as refusal:
        return refusal
    if after == before:
        return Written(row=after, action=None)
    step = _Step(action=_action(before, after), before=before, after=after)
    steps.append(step)
    current[edit.record_id] = after
    return Written(row=after, action=step.action)


def _pointed(session: Session, kind: str, record_id: str, outcome: Written | Refusal) -> Written | Refusal:
    """Say of a record that is not found where it went, if it was merged into another."""
    return outcome if not isinstance(outcome, NotFoundError) else find_merged_away(session, kind, record_id) or outcome


def _action(before: Row | None, after: Row) -> Action:
    if before is None:
        return "create"
    if before["deleted_at"] == after["deleted_at"]:
        return "update"
    return "restore" if after["deleted_at"] is None else "delete"


def read_rows(session: Session, kind: str, record_ids: Sequence[str]) -> dict[str, Row]:
    """Read records by their ids; those that are not stored are left out."""
    table = get_table(kind)
    asked = sa.any_(sa.cast(list(record_ids), sa.ARRAY(sa.Text)))
    rows = session.execute(sa.select(*shown_columns(kind)).where(table.c.id == asked)).mappings()
    return {row["id"]: dict(row) for row in rows}


def shown_columns(kind: str) -> list[sa.Column[Any]]:
    """Give the columns of a kind in the order in which callers read them."""
    names = (*IDENTITY, *fields_of(kind), "custom", "version", "stored_at", "deleted_at")
    return [get_table(kind).c[name] for name in names]


def _store(session: Session, kind: str, steps: Sequence[_Step], now: datetime) -> None:
    """Write rows as an import of them would, those of each source by themselves."""
    declared = read_custom_types(session, kind)
    sources = sorted({step.after["source_system"] for step in steps})
    for source in sources:
        rows = [step.after for step in steps if step.after["source_system"] == source]
        _store_source(session, kind, rows, declared, source=source, now=now)


def _store_source(
    session: Session,
    kind: str,
    rows: Sequence[Row],
    declared: Mapping[str, CustomField],
    *,
    source: str,
    now: datetime,
) -> None:
    fields = (*fields_of(kind), "deleted_at")
    customs: dict[str, Any] = {name: custom.time for name, custom in declared.items()}
    staging = create_staging(session, get_table(kind), fields, customs=customs, kept_when_empty=frozenset())
    stage(session, staging, _frame(rows, ("id", "external_id", *staging.compared)))
    store_staged(session, staging, kind=kind, source_system=source, imported_at=now, content_ids=False, origin="api")


def _frame(rows: Sequence[Row], names: Iterable[str]) -> pl.DataFrame:
    texts = {name: pl.Series(name, [_text(row[name]) for row in rows], dtype=pl.String) for name in names}
    return pl.DataFrame({"row": pl.int_range(1, len(rows) + 1, eager=True), **texts})


def _text(value: Any) -> str | None:
    """Give a value as PostgreSQL reads it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _event(step: _Step, kind: str, actor: str, now: datetime) -> dict[str, Any]:
    before, after = _flat(step.before or {}), _flat(step.after)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    details = {
        "before": {name: before.get(name) for name in names} if step.before else None,
        "after": {name: after.get(name) for name in names},
    }
    return {
        "at": now,
        "actor": actor,
        "action": step.action,
        "kind": kind,
        "record_id": step.after["id"],
        "details": to_jsonable_python(details),
    }


def _flat(row: Row) -> dict[str, Any]:
    """Give what an audit compares: the fields, custom ones by name."""
    return dict(_flat_items(row))


def _flat_items(row: Row) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name == "custom":
            yield from ((f"custom.{key}", entry) for key, entry in value.items())
        elif name not in {"version", "stored_at"}:
            yield name, value
