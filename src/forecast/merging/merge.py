"""Merge other records into one."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from forecast.errors import ConflictError, InputError, NotFoundError
from forecast.merging.fields import copy_field, fillable_fields, read_text, written
from forecast.merging.references import MERGED_KINDS, Reference, lock_references, references_to
from forecast.records import AuditEvent, Change, Merge, get_table

EVERY_FIELD = "all"


def merge_records(
    session: Session,
    kind: str,
    *,
    keep_id: str,
    other_ids: Sequence[str],
    fill: Sequence[str] = (),
    by: str,
    at: datetime,
) -> list[Merge]:
    """Merge other records into the one to keep: what points at them points at it, and they become tombstones.

    Args:
        session: the transaction.
        kind: account or lead.
        keep_id: of the record that stays.
        other_ids: of the records that are merged into it, in this order.
        fill: fields, `custom.<name>` for custom ones, whose blanks in the kept record are filled from the others, from the
            first that has one; `all` names every field. Without any, the kept record stays as it is.
        by: who merges, for the audit trail.
        at: now.

    Raises:
        InputError: the kind is not merged, a field can't be filled, or a record is named twice.
        NotFoundError: a record is not stored.
        ConflictError: a record is deleted or merged already, or an open lead is to be kept and a closed one not.
    """
    _check_request(kind, keep_id, other_ids)
    lock_references(session, kind)
    fields = _checked_fields(session, kind, fill)
    for one in (keep_id, *other_ids):
        _check_alive(session, kind, one)
    if kind == "lead":
        _check_outcomes(session, keep_id, other_ids)
    return [_merge(session, kind, keep_id, other_id=other, fields=fields, by=by, at=at) for other in other_ids]


def list_merges(session: Session) -> Sequence[Merge]:
    """List the merges in force, newest first."""
    return session.scalars(sa.select(Merge).where(Merge.undone_at.is_(None)).order_by(Merge.id.desc())).all()


def find_merge_of(session: Session, kind: str, record_id: str) -> Merge | None:
    """Find the merge in force that merged a record away."""
    in_force = sa.select(Merge).where(Merge.kind == kind, Merge.undone_at.is_(None))
    return session.scalar(in_force.where(Merge.merged_id == record_id))


def _check_request(kind: str, keep_id: str, other_ids: Sequence[str]) -> None:
    if kind not in MERGED_KINDS:
        raise InputError(f'records of kind "{kind}" are not merged; name one of: {", ".join(MERGED_KINDS)}')
    if not other_ids:
        raise InputError(f'nothing is named to be merged into {kind} "{keep_id}"; name one record or more')
    if keep_id in other_ids or len(set(other_ids)) < len(other_ids):
        raise InputError(f"{kind} ids {', '.join((keep_id, *other_ids))}: one comes twice; name each record once")


def _checked_fields(session: Session, kind: str, fill: Sequence[str]) -> list[str]:
    known = fillable_fields(session, kind)
    if EVERY_FIELD in fill:
        return known
    for name in fill:
        if name not in known:
            raise InputError(
                f'"{name}" of {kind} can\'t be filled; name fields of: {", ".join(known)}, or {EVERY_FIELD}'
            )
    return list(fill)


def _check_alive(session: Session, kind: str, record_id: str) -> None:
    table = get_table(kind)
    found = session.execute(sa.select(table.c.deleted_at).where(table.c.id == record_id)).one_or_none()
    if found is None:
        raise NotFoundError(f'{kind} "{record_id}" is not stored; `forecast duplicates {kind}s` lists ids')
    merge = find_merge_of(session, kind, record_id)
    if merge is not None:
        raise ConflictError(
            f'{kind} "{record_id}" was merged into "{merge.kept_id}"; name that one, or undo merge {merge.id} first'
        )
    if found.deleted_at is not None:
        raise ConflictError(f'{kind} "{record_id}" was deleted at {found.deleted_at.isoformat()}; restore it first')


def _check_outcomes(session: Session, keep_id: str, other_ids: Sequence[str]) -> None:
    """Refuse to lose an outcome: an open lead would go on where the merged one was converted."""
    kept = read_text(session, "lead", keep_id, "status")
    for other in other_ids:
        status = read_text(session, "lead", other, "status")
        if kept == "open" and status != "open":
            raise ConflictError(
                f'lead "{keep_id}" is open, "{other}" is {status}; keep "{other}", and merge "{keep_id}"'
            )


def _merge(
    session: Session, kind: str, keep_id: str, *, other_id: str, fields: Sequence[str], by: str, at: datetime
) -> Merge:
    details = {
        "moved": {one.name: _repoint(session, one, keep_id, other_id=other_id, at=at) for one in references_to(kind)},
        "cleared": _clear_own_parent(session, kind, keep_id),
        "changes": {
            side: _rename_in_changes(session, kind, side, keep_id=keep_id, other_id=other_id)
            for side in ("old_value", "new_value")
        },
        "filled": _fill_blanks(session, kind, keep_id, other_id=other_id, fields=fields, at=at),
    }
    table = get_table(kind)
    tombstone = {"deleted_at": at, **written(table, at)}
    session.execute(sa.update(table).where(table.c.id == other_id).values(tombstone))
    merge = Merge(kind=kind, kept_id=keep_id, merged_id=other_id, merged_at=at, merged_by=by, details=details)
    session.add(merge)
    session.flush()
    record_events(session, merge, "merge", by=by, at=at)
    return merge


def _repoint(session: Session, reference: Reference, keep_id: str, *, other_id: str, at: datetime) -> list[str]:
    table = get_table(reference.kind)
    moved = {reference.column: keep_id, **written(table, at)}
    statement = sa.update(table).where(table.c[reference.column] == other_id).values(moved)
    return sorted(session.scalars(statement.returning(table.c.id)))


def _clear_own_parent(session: Session, kind: str, keep_id: str) -> list[str]:
    """Empty the parent of a record that was merged with its parent."""
    table = get_table(kind)
    if "parent_id" not in table.c:
        return []
    own = sa.update(table).where(table.c.id == keep_id, table.c.parent_id == keep_id).values(parent_id=None)
    return ["parent_id"] if session.scalars(own.returning(table.c.id)).all() else []


def _rename_in_changes(session: Session, kind: str, side: str, *, keep_id: str, other_id: str) -> list[int]:
    """Let the history of references name the kept record; give the ids of the change rows."""
    fields = [(one.kind, one.column) for one in references_to(kind)]
    same = aliased(Change)
    same_move = (same.kind == Change.kind, same.record_id == Change.record_id, same.field == Change.field)
    told = sa.exists().where(*same_move, same.changed_at == Change.changed_at, same.new_value == keep_id)
    column = Change.__table__.c[side]
    named = sa.and_(sa.tuple_(Change.kind, Change.field).in_(fields), column == other_id)
    renamed = sa.update(Change).where(named, ~told if side == "new_value" else sa.true()).values({side: keep_id})
    return sorted(session.scalars(renamed.returning(Change.id), execution_options={"synchronize_session": False}))


def _fill_blanks(
    session: Session, kind: str, keep_id: str, *, other_id: str, fields: Sequence[str], at: datetime
) -> dict[str, str]:
    filled = {}
    for field in fields:
        text = read_text(session, kind, other_id, field)
        if text and not read_text(session, kind, keep_id, field):
            copy_field(session, kind, field, source_id=other_id, target_id=keep_id, at=at)
            filled[field] = text
    return filled


def record_events(session: Session, merge: Merge, action: str, *, by: str, at: datetime) -> None:
    """Write an audit event for each of the two records."""
    details = {
        "merge_id": merge.id,
        "kept_id": merge.kept_id,
        "merged_id": merge.merged_id,
        "moved": {name: len(ids) for name, ids in merge.details["moved"].items() if ids},
        "filled": merge.details["filled"],
        **({"left": merge.details["left"]} if "left" in merge.details else {}),
    }
    for record_id in (merge.kept_id, merge.merged_id):
        session.add(AuditEvent(at=at, actor=by, action=action, kind=merge.kind, record_id=record_id, details=details))
    session.flush()
