"""Where a merged record went, for those that still ask for it."""

from sqlalchemy.orm import Session

from forecast.errors import ConflictError, NotFoundError
from forecast.merging import read_redirects
from forecast.merging.merge import find_merge_of


def find_merged_away(session: Session, kind: str, record_id: str) -> NotFoundError | None:
    """Say where a record went that was merged into another, after all later merges; None where it was not merged."""
    said = _where(session, kind, record_id)
    return NotFoundError(said) if said else None


def refuse_merged_away(session: Session, kind: str, record_id: str) -> None:
    """Refuse to bring back a record that undoing a merge brings back.

    Raises:
        ConflictError: it was merged into another.
    """
    said = _where(session, kind, record_id)
    if said:
        raise ConflictError(said)


def _where(session: Session, kind: str, record_id: str) -> str:
    merge = find_merge_of(session, kind, record_id)
    if merge is None:
        return ""
    kept = read_redirects(session).kept[kind][record_id]
    return f'{kind} "{record_id}" was merged into "{kept}"; ask for that one, or undo the merge by DELETE /v1/merges/{merge.id}'
