"""Lead what comes in later to the record that was kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.merging.references import MERGED_KINDS, references_to
from forecast.records import Merge


@dataclass(frozen=True, kw_only=True)
class Redirects:
    """Where references lead, and which records stay tombstones.

    Attributes:
        kept: kind -> merged id -> id of the record that was kept in the end.
        tombstones: kind -> merged id -> moment of its merge, ISO.
    """

    kept: Mapping[str, Mapping[str, str]]
    tombstones: Mapping[str, Mapping[str, str]]


def read_redirects(session: Session) -> Redirects:
    """Read the merges in force."""
    rows = session.execute(
        sa.select(Merge.kind, Merge.merged_id, Merge.kept_id, Merge.merged_at).where(Merge.undone_at.is_(None))
    ).all()
    next_of = {kind: {row.merged_id: row.kept_id for row in rows if row.kind == kind} for kind in MERGED_KINDS}
    ended = {
        kind: {row.merged_id: row.merged_at.isoformat() for row in rows if row.kind == kind} for kind in MERGED_KINDS
    }
    kept = {kind: {one: _end(one, steps) for one in steps} for kind, steps in next_of.items()}
    return Redirects(kept=MappingProxyType(kept), tombstones=MappingProxyType(ended))


def _end(record_id: str, steps: Mapping[str, str]) -> str:
    while record_id in steps:
        record_id = steps[record_id]
    return record_id


def redirect_rows(frame: pl.DataFrame, kind: str, redirects: Redirects) -> tuple[pl.DataFrame, int, int]:
    """Lead the references of typed rows to kept records, and keep merged records deleted.

    Returns:
        The frame, how many references were led elsewhere, and how many rows are of merged records: those update the
        tombstone only.
    """
    led = 0
    for merged in (one for one in MERGED_KINDS if redirects.kept[one]):
        for column in {one.column for one in references_to(merged) if one.kind == kind} & set(frame.columns):
            given, changed = frame[column], frame[column].replace(redirects.kept[merged])
            is_led = changed.ne_missing(given)
            # A record whose parent was merged into it has no parent.
            frame = frame.with_columns(pl.when(~is_led | (changed != frame["id"])).then(changed).alias(column))
            led += int(is_led.sum())
    ended = redirects.tombstones.get(kind, {})
    is_merged = frame["id"].is_in(list(ended)) if ended else pl.repeat(value=False, n=frame.height, eager=True)
    if "deleted_at" in frame.columns and is_merged.any():
        moment = (
            frame["id"].replace_strict(ended, default=None, return_dtype=pl.String).str.to_datetime(time_zone="UTC")
        )
        frame = frame.with_columns(
            pl.coalesce(moment.cast(frame["deleted_at"].dtype), "deleted_at").alias("deleted_at")
        )
    return frame, led, int(is_merged.sum())


def redirect_changes(frame: pl.DataFrame, redirects: Redirects) -> pl.DataFrame:
    """Lead the values of typed change rows to kept records, where their field is a reference."""
    for merged in (one for one in MERGED_KINDS if redirects.kept[one]):
        fields = [f"{one.kind}.{one.column}" for one in references_to(merged)]
        is_reference = pl.concat_str("kind", pl.lit("."), "field").is_in(fields)
        frame = frame.with_columns(
            pl.when(is_reference).then(pl.col(side).replace(redirects.kept[merged])).otherwise(side).alias(side)
            for side in ("old_value", "new_value")
        )
    return frame
