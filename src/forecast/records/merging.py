"""Which records were merged into which, whole enough to be undone."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Table, fixed, outcome


class Merge(Table):
    """One record merged into another; in force until `undone_at`.

    `details` holds `moved` (`<kind>.<column>` -> ids of the records that pointed at the merged one), `cleared` (columns of
    the kept record that would point at itself), `changes` (`old_value`, `new_value` -> ids of change rows that named the
    merged one) and `filled` (field -> the text that a blank of the kept one took); once undone, also `left`.
    """

    __tablename__ = "merge"
    __table_args__ = (
        Index("uq_merge_in_force", "kind", "merged_id", unique=True, postgresql_where=text("undone_at IS NULL")),
    )

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = fixed(Text)
    kept_id: Mapped[str] = fixed(Text)
    merged_id: Mapped[str] = fixed(Text)
    merged_at: Mapped[datetime] = fixed(MOMENT)
    merged_by: Mapped[str] = fixed(Text)
    details: Mapped[dict[str, Any]] = fixed(JSONB, default=dict, server_default="{}")
    undone_at: Mapped[datetime | None] = outcome(MOMENT)
    undone_by: Mapped[str | None] = outcome(Text)
