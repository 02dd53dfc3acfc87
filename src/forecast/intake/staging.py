"""The temporary table that a file's rows wait in, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from forecast.records import TimeKind


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of the rows that could be stored; `changes` are change rows, `repeated` rows whose id came before.

    `fixed` are rows that differ in a fixed field.
    """

    new: int
    changed: int
    unchanged: int
    changes: int = 0
    repeated: int = 0
    fixed: int = 0


@dataclass(frozen=True, kw_only=True)
class Staging:
    """The temporary table of one file.

    Attributes:
        target: the table of the records.
        staged: the temporary table: row, turn, id, external_id, the fields, and custom where the file has custom fields.
        fields: columns that the file fills.
        customs: custom fields that the file fills, with when each is known.
        kept_when_empty: columns whose empty cells leave what is stored.
    """

    target: sa.Table
    staged: sa.Table
    fields: tuple[str, ...]
    customs: Mapping[str, TimeKind]
    kept_when_empty: frozenset[str]

    @property
    def compared(self) -> tuple[str, ...]:
        """Give the columns in which a row may differ from the turn before it."""
        return (*self.fields, "custom") if self.customs else self.fields
