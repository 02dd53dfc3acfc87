"""Which columns name records that can be merged."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import RECORD_KINDS, get_table

MERGED_KINDS = ("account", "lead")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A column of a kind of record that names a record of another kind, or of its own."""

    kind: str
    column: str

    @property
    def name(self) -> str:
        """As in `Merge.details`."""
        return f"{self.kind}.{self.column}"


def references_to(kind: str) -> tuple[Reference, ...]:
    """List the columns that name records of a kind, by kind and column."""
    return tuple(
        Reference(kind=owner, column=column.name)
        for owner in sorted(RECORD_KINDS)
        for column in get_table(owner).columns
        if column.name == f"{kind}_id" or (owner, column.name) == (kind, "parent_id")
    )


def lock_references(session: Session, kind: str) -> None:
    """Wait for writers that may be storing references, and let none begin; changes last, as those writers take them."""
    owners = dict.fromkeys((kind, *(reference.kind for reference in references_to(kind)), "change", "merge"))
    names = ", ".join(f'"{owner}"' for owner in owners)
    session.execute(sa.text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
