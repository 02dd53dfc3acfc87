"""Records out of the database: CSV that spreadsheets open safely and `forecast import` reads back, or Parquet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import sqlalchemy as sa
from polars.io.plugins import register_io_source
from sqlalchemy.orm import Session

from forecast.errors import FileError, InputError
from forecast.formulas import guarded
from forecast.records import Change, CustomField, Table, get_table
from forecast.store import Statement, copy_blocks, frame_type

CHANGE = Change.__tablename__
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it, spreadsheets take Chinese for something else

_GROUP_ROWS = 50_000  # of a Parquet file; a group is in memory until it is written
_QUOTED = r'[;；、|,，"]|^\s|\s$|^$'  # entries of a list that would be read as several, or as another
_LEFT_OUT = frozenset({"id", "source_system", "external_id", "version", "stored_at", "import_digest", "custom"})
_SQL_TYPES: dict[str, sa.types.TypeEngine[Any]] = {"number": sa.Float(), "boolean": sa.Boolean()}


def write_export(session: Session, kind: str, path: Path, *, include_deleted: bool = False) -> int:
    """Write all records of a kind, or all changes, to a file, replaced in one step; its ending says the form. Gives how many they were.

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


def csv_blocks(session: Session, kind: str, *, include_deleted: bool) -> Iterator[bytes]:
    """Give all records of a kind, or all changes, as CSV in UTF-8, by id, some at a time.

    Columns are `id`, the fields of the kind, `deleted_at` where deleted records are included, and `custom.<name>`.
    Moments are UTC; text that a spreadsheet would run as a formula has an apostrophe in front; entries of lists are
    separated by semicolons, and in quotation marks where they hold one.

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

    def frames(*_: object) -> Iterator[pl.DataFrame]:
        return (_typed(block, types) for block in copy_blocks(session, statement, headings="none"))

    register_io_source(frames, schema=types).sink_parquet(path, row_group_size=_GROUP_ROWS)


def _typed(rows: bytes, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    moments = [name for name, kind in types.items() if isinstance(kind, pl.Datetime)]
    read_as = pl.Schema(dict(types) | dict.fromkeys(moments, pl.Int64()))
    frame = pl.read_csv(rows, has_header=False, schema=read_as) if rows else pl.DataFrame(schema=read_as)
    return frame.with_columns(pl.from_epoch(name, time_unit="us").dt.replace_time_zone("UTC") for name in moments)


def _columns(session: Session, kind: str, *, include_deleted: bool) -> list[sa.ColumnElement[Any]]:
    table = _get_table(kind)
    left_out = _LEFT_OUT if include_deleted else _LEFT_OUT | {"deleted_at"}
    own = [column for column in table.columns if column.name not in left_out]
    return [*own] if kind == CHANGE else [table.c.id, *own, *_custom_columns(session, kind, table)]


def _get_table(kind: str) -> sa.Table:
    return Table.metadata.tables[CHANGE] if kind == CHANGE else get_table(kind)


def _custom_columns(session: Session, kind: str, table: sa.Table) -> Iterator[sa.ColumnElement[Any]]:
    declared = sa.select(CustomField.name, CustomField.type).where(CustomField.kind == kind).order_by(CustomField.name)
    for name, kind_of_value in session.execute(declared):
        text: sa.ColumnElement[Any] = table.c.custom.op("->>", return_type=sa.Text())(name)
        if kind_of_value == "list":
            text = _joined(table.c.custom.op("->")(name), text)
        yield sa.cast(text, _SQL_TYPES.get(kind_of_value, sa.Text())).label(f"custom.{name}")


def _joined(entries: sa.ColumnElement[Any], text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Join the entries of a list, in quotation marks where they need some; what is not a list stays as it is."""
    listed = sa.func.jsonb_array_elements_text(entries).column_valued("entry")
    in_quotes = sa.func.concat('"', sa.func.replace(listed, '"', '""'), '"')
    entry = sa.case((listed.op("~", is_comparison=True)(_QUOTED), in_quotes), else_=listed)
    joined = sa.select(sa.func.string_agg(entry, ";")).scalar_subquery()
    return sa.case((sa.func.jsonb_typeof(entries) == "array", joined), else_=text)


def _statement(
    kind: str,
    columns: Sequence[sa.ColumnElement[Any]],
    cell: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]],
    *,
    include_deleted: bool,
) -> Statement:
    table = _get_table(kind)
    cells = sa.select(*(cell(column).label(column.name) for column in columns))
    return cells.where(_is_asked(table, include_deleted=include_deleted)).order_by(table.c.id)


def _count(session: Session, kind: str, *, include_deleted: bool) -> int:
    table = _get_table(kind)
    counted = sa.select(sa.func.count()).select_from(table)
    return session.scalar(counted.where(_is_asked(table, include_deleted=include_deleted))) or 0


def _is_asked(table: sa.Table, *, include_deleted: bool) -> sa.ColumnElement[bool]:
    return sa.true() if include_deleted or "deleted_at" not in table.c else table.c.deleted_at.is_(None)


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
