"""What every record has in common, and when each of its columns is known.

A column declares its time kind:

- `fixed`: known from the record's creation and never changed;
- `tracked`: may change; its value at a moment is rebuilt from `change` rows;
- `outcome`: tells what happened in the end, or is bookkeeping; it never enters a snapshot.
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, DateTime, Integer, MetaData, Numeric, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column

TimeKind = Literal["fixed", "tracked", "outcome"]

MOMENT = DateTime(timezone=True)
MONEY = Numeric(18, 2)


class Table(DeclarativeBase):
    """Root of all tables; names of constraints are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _column(time: TimeKind, *args: Any, **options: Any) -> MappedColumn[Any]:
    return mapped_column(*args, info={"time": time}, **options)


def fixed(*args: Any, **options: Any) -> MappedColumn[Any]:
    """Declare a column that is known from the record's creation."""
    return _column("fixed", *args, **options)


def tracked(*args: Any, **options: Any) -> MappedColumn[Any]:
    """Declare a column whose past values are rebuilt from `change` rows."""
    return _column("tracked", *args, **options)


def settled(*args: Any, **options: Any) -> MappedColumn[Any]:
    """Declare a tracked column that CRMs overwrite on closing: without change rows, a closed record's value tells its end."""
    return mapped_column(*args, info={"time": "tracked", "overwritten_on_close": True}, **options)


def outcome(*args: Any, **options: Any) -> MappedColumn[Any]:
    """Declare a column that never enters a snapshot."""
    return _column("outcome", *args, **options)


class Record(Table):
    """A base record of the CRM layer.

    `id` is `external_id` for the default source "import", `source:external_id` for any other; records refer to each
    other by it. No foreign key is enforced: files arrive in any order, and a reference to what has not come yet is kept.
    `stored_at` is when it was last written here, `version` how often; `modified_at` is what its source says.
    `import_digest` tells the row of a file that `version` holds; it counts for that version only.
    """

    __abstract__ = True

    id: Mapped[str] = fixed(Text, primary_key=True)
    source_system: Mapped[str] = fixed(Text, default="import", server_default="import")
    external_id: Mapped[str] = fixed(Text)
    created_at: Mapped[datetime | None] = fixed(MOMENT)
    modified_at: Mapped[datetime | None] = outcome(MOMENT)
    deleted_at: Mapped[datetime | None] = outcome(MOMENT)
    version: Mapped[int] = outcome(Integer, default=1, server_default="1")
    stored_at: Mapped[datetime] = outcome(MOMENT, server_default=func.now())
    import_digest: Mapped[int | None] = outcome(BigInteger)
    custom: Mapped[dict[str, Any]] = tracked(JSONB, default=dict, server_default="{}")


BOOKKEEPING = frozenset(Record.__annotations__)
"""The columns that every record has, whatever it is about."""


def record_id(source_system: str, external_id: str) -> str:
    """Make a record's id of its source and its id there."""
    return external_id if source_system == "import" else f"{source_system}:{external_id}"
