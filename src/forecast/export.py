"""Records out of the database: CSV that spreadsheets open safely and `forecast import` reads back, or Parquet."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import FileError, InputError
from forecast.formulas import guarded
from forecast.records import CustomField, get_table
from forecast.store import Statement, copy_blocks, frame_type

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it, spreadsheets take Chinese for something else

_LEFT_OUT = frozenset({"id", "source_system", "external_id", "version", "stored_at", "import_digest", "custom"})
_SQL_TYPES: dict[str, sa.types.TypeEngine[Any]] = {"number": sa.Float(), "boolean": sa.Boolean()}


def write_export(session: Session, kind: str, path: Path, *, include_deleted: bool = False) -> int:
    """Write all records of a kind to a file, replaced in one step; its ending says the form. Gives how many they were.

    Raises:
        InputError: the ending is neither .csv nor .parquet.
        FileError: the file can't be written there.
        NotFoundError: there is no such kind of record.
    """
    writers = {".csv": write_csv, ".parquet": write_parquet}
    if path.suffix.lower() not in writers:
        raise InputError(f'"{path.name}" ends in neither .csv nor .parquet; give one of the two')
    try:
        with TemporaryDirectory(dir=path.absolute().parent, prefix=".forecast-export-") as folder:
            draft = Path(folder) / path.name
            writers[path.suffix.lower()](session, kind, draft, include_deleted=include_deleted)
            draft.replace(path)
    except OSError as error:
        raise FileError(f"{path} can't be written: {error.strerror}; name a file in a folder that is there") from error
    return _count(session, kind, include_deleted=include_deleted)


def write_csv(session: Session, kind: str, path: Path, *, include_deleted: bool = False) -> None:
    """Write all records of a kind as `csv_blocks` gives them."""
    with path.open("wb") as file:
        file.writelines(csv_blocks(session, kind, include_deleted=include_deleted))


def csv_blocks(session: Session, kind: str, *, include_deleted: bool = False) -> Iterator[bytes]:
    """Give all records of a kind as CSV in UTF-8, by id, some at a time.

    Columns are `id`, the fields of the kind, `deleted_at` where deleted records are included, and `custom.<name>`.
    Moments are UTC; text that a spreadsheet would run as a formula has an apostrophe in front; entries of lists are
    separated by semicolons.

    Raises:
        NotFoundError: there is no such kind of record.
    """
    columns = _columns(session, kind, include_deleted=include_deleted)
    yield BYTE_ORDER_MARK
    yield from copy_blocks(session, _statement(kind, columns, _csv_cell, include_deleted=include_deleted))


def write_parquet(session: Session, kind: str, path: Path, *, include_deleted: bool = False) -> None:
    """Write all records of a kind as Parquet, by id: the columns of `csv_blocks`, typed, their text as it is stored."""
    columns = _columns(session, kind, include_deleted=include_deleted)
    statement = _statement(kind, columns, _parquet_cell, include_deleted=include_deleted)
    types = {column.name: _parquet_type(column.type) for column in columns}
    moments = [name for name, kind_of_value in types.items() if isinstance(kind_of_value, pl.Datetime)]
    with TemporaryDirectory(dir=path.parent) as folder:
        spool = Path(folder) / "rows.csv"
        with spool.open("wb") as file:
            file.writelines(copy_blocks(session, statement))
        rows = pl.scan_csv(spool, schema=types | dict.fromkeys(moments, pl.Int64()), glob=False)
        rows.with_columns(
            pl.from_epoch(pl.col(name), time_unit="us").dt.replace_time_zone("UTC") for name in moments
        ).sink_parquet(path)


def _columns(session: Session, kind: str, *, include_deleted: bool) -> list[sa.ColumnElement[Any]]:
    table = get_table(kind)
    left_out = _LEFT_OUT if include_deleted else _LEFT_OUT | {"deleted_at"}
    own = [column for column in table.columns if column.name not in left_out]
    return [table.c.id, *own, *_custom_columns(session, kind, table)]


def _custom_columns(session: Session, kind: str, table: sa.Table) -> Iterator[sa.ColumnElement[Any]]:
    declared = sa.select(CustomField.name, CustomField.type).where(CustomField.kind == kind).order_by(CustomField.name)
    for name, kind_of_value in session.execute(declared):
        text: sa.ColumnElement[Any] = table.c.custom.op("->>", return_type=sa.Text())(name)
        if kind_of_value == "list":
            text = _joined(table.c.custom.op("->")(name), text)
        yield sa.cast(text, _SQL_TYPES.get(kind_of_value, sa.Text())).label(f"custom.{name}")


def _joined(entries: sa.ColumnElement[Any], text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Join the entries of a list; what is not a list stays as it is."""
    listed = sa.func.jsonb_array_elements_text(entries).column_valued("entry")
    joined = sa.select(sa.func.string_agg(listed, ";")).scalar_subquery()
    return sa.case((sa.func.jsonb_typeof(entries) == "array", joined), else_=text)


def _statement(
    kind: str,
    columns: Sequence[sa.ColumnElement[Any]],
    cell: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]],
    *,
    include_deleted: bool,
) -> Statement:
    table = get_table(kind)
    cells = sa.select(*(cell(column).label(column.name) for column in columns)).order_by(table.c.id)
    return cells if include_deleted else cells.where(table.c.deleted_at.is_(None))


def _count(session: Session, kind: str, *, include_deleted: bool) -> int:
    table = get_table(kind)
    counted = sa.select(sa.func.count()).select_from(table)
    return session.scalar(counted if include_deleted else counted.where(table.c.deleted_at.is_(None))) or 0


def _csv_cell(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.DateTime):
        moment = sa.func.to_char(sa.func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        return sa.func.replace(moment, ".000000Z", "Z")
    if isinstance(column.type, sa.Boolean):
        return sa.cast(column, sa.Text)
    return guarded(column) if isinstance(column.type, sa.Text) else column


def _parquet_cell(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.DateTime):
        return sa.cast(sa.extract("epoch", column) * 1_000_000, sa.BigInteger)
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.Boolean) else column


def _parquet_type(column_type: sa.types.TypeEngine[Any]) -> pl.DataType:
    if isinstance(column_type, sa.Numeric):
        return pl.Decimal(column_type.precision or 38, column_type.scale or 0)
    return frame_type(column_type)
