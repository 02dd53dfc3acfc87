"""Undo a merge."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import ConflictError, NotFoundError
from forecast.merging.fields import clear_field, read_text, written
from forecast.merging.merge import find_merge_of, record_events
from forecast.merging.references import lock_references
from forecast.records import Change, Merge, get_table


@dataclass(frozen=True, kw_only=True)
class Undone:
    """What undoing a merge put back.

    Attributes:
        merge: as it stands now.
        restored: references that name the merged record again.
        left: a sentence for each thing that was changed since and stays as it is now.
    """

    merge: Merge
    restored: int
    left: tuple[str, ...]


def undo_merge(session: Session, merge_id: int, *, by: str, at: datetime) -> Undone:
    """Put back what a merge changed, as far as it stands as the merge left it.

    What was changed since stays as it is now, and is said. What came to the kept record after the merge stays with it.

    Raises:
        NotFoundError: there is no such merge.
        ConflictError: it was undone, or one of its records was merged away later.
    """
    merge = session.get(Merge, merge_id)
    if merge is None:
        raise NotFoundError(f"there is no merge {merge_id}; `forecast unmerge` lists those that can be undone")
    lock_references(session, merge.kind)
    session.refresh(merge)
    _check_undoable(session, merge)
    restored, left = 0, []
    for name, ids in merge.details["moved"].items():
        back = _put_back_references(session, merge, name, ids=ids, at=at)
        restored += len(back)
        left += [_stays(session, name, one) for one in ids if one not in back]
    left += _put_back_fields(session, merge, at)
    _rename_changes_back(session, merge)
    table = get_table(merge.kind)
    alive = {"deleted_at": None, **written(table, at)}
    session.execute(sa.update(table).where(table.c.id == merge.merged_id).values(alive))
    merge.undone_at, merge.undone_by, merge.details = at, by, {**merge.details, "left": left}
    session.flush()
    record_events(session, merge, "unmerge", by=by, at=at)
    return Undone(merge=merge, restored=restored, left=tuple(left))


def _check_undoable(session: Session, merge: Merge) -> None:
    if merge.undone_at is not None:
        raise ConflictError(f"merge {merge.id} was undone at {merge.undone_at.isoformat()}; nothing is left to do")
    later = find_merge_of(session, merge.kind, merge.kept_id)
    if later is not None:
        raise ConflictError(
            f'{merge.kind} "{merge.kept_id}" was itself merged into "{later.kept_id}"; undo merge {later.id} first'
        )


def _put_back_references(session: Session, merge: Merge, name: str, *, ids: list[str], at: datetime) -> set[str]:
    """Let what still names the kept record name the merged one again; give the ids of these rows."""
    kind, _, column = name.partition(".")
    table = get_table(kind)
    own = sa.and_(table.c.id == merge.kept_id, table.c[column].is_(None))
    stands = sa.or_(table.c[column] == merge.kept_id, own if column in merge.details["cleared"] else sa.false())
    back = sa.update(table).values({column: merge.merged_id, **written(table, at)}).returning(table.c.id)
    return {one for some in _thousands(ids) for one in session.scalars(back.where(table.c.id.in_(some), stands))}


def _stays(session: Session, name: str, record_id: str) -> str:
    kind, _, column = name.partition(".")
    now = read_text(session, kind, record_id, column)
    return f'{column} of {kind} "{record_id}" {f"names {now}" if now else "is empty"} by now, and stays so'


def _thousands(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + 1000] for start in range(0, len(ids), 1000))


def _put_back_fields(session: Session, merge: Merge, at: datetime) -> Iterator[str]:
    """Empty the blanks that the merge filled; say which hold something else by now."""
    for field, text in merge.details["filled"].items():
        now = read_text(session, merge.kind, merge.kept_id, field)
        if now == text:
            clear_field(session, merge.kind, field, record_id=merge.kept_id, at=at)
        else:
            yield f'{field} of {merge.kind} "{merge.kept_id}" was filled with "{text}", is "{now}" by now, and stays so'


def _rename_changes_back(session: Session, merge: Merge) -> None:
    for side, ids in merge.details["changes"].items():
        column = Change.__table__.c[side]
        rows = sa.update(Change).where(Change.id.in_(ids), column == merge.kept_id)
        session.execute(rows.values({side: merge.merged_id}), execution_options={"synchronize_session": False})
