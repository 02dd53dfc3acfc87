"""Excel sheets and Parquet files as rows of text."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from forecast.errors import FileError
from forecast.intake.chunks import Chunk, make_chunk

_CHUNK_ROWS = 50_000


def sheet_names(path: Path) -> list[str]:
    """List the sheets of an Excel file.

    Raises:
        FileError: it is broken or locked by a password.
    """
    return list(_workbook(path).sheet_names)


def _workbook(path: Path) -> Any:
    import fastexcel

    try:
        return fastexcel.read_excel(path)
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise FileError(
            f"{path} can't be read as an Excel file: {reason}; open it in Excel, save it again without a password, or as CSV UTF-8"
        ) from error


def read_sheet(path: Path, name: str) -> pl.DataFrame:
    """Read all rows of a sheet as text, headings included; dates as ISO.

    Raises:
        FileError: it can't be read.
    """
    import fastexcel

    try:
        # Named skip_rows keep the empty rows at the top, so that rows are numbered as on the screen.
        sheet = _workbook(path).load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise FileError(f'the sheet "{name}" of {path} can\'t be read: {reason}; save it as CSV UTF-8') from error
    frame: pl.DataFrame = sheet.to_polars()
    # A cell that holds a day is a moment at midnight to Excel.
    return frame.with_columns(pl.all().str.replace(r"^(\d{4}-\d{2}-\d{2}) 00:00:00$", "$1").fill_null(""))


def sheet_chunks(path: Path, name: str, *, headings: Sequence[str], skipped: int) -> Iterator[Chunk]:
    """Read the rows of a sheet below its first `skipped`."""
    frame = read_sheet(path, name).slice(skipped)
    numbers = pl.int_range(skipped + 1, skipped + 1 + len(frame), eager=True)
    for offset in range(0, len(frame), _CHUNK_ROWS):
        part = frame.slice(offset, _CHUNK_ROWS).rename(dict(zip(frame.columns, headings, strict=True)))
        yield make_chunk(part, numbers.slice(offset, _CHUNK_ROWS), {})


def parquet_headings(path: Path) -> list[str]:
    """List the columns of a Parquet file.

    Raises:
        FileError: it is broken.
    """
    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileError(f"{path} can't be read as a Parquet file: {error}; write it again") from error


def parquet_chunks(path: Path, *, headings: Sequence[str]) -> Iterator[Chunk]:
    """Read the rows of a Parquet file as text; the columns count as row 1.

    Raises:
        FileError: it is broken.
    """
    scan, number = pl.scan_parquet(path, glob=False), 2
    try:
        while not (frame := scan.slice(number - 2, _CHUNK_ROWS).collect()).is_empty():
            texts = frame.select(_as_text(column) for column in frame)
            numbers = pl.int_range(number, number + len(frame), eager=True)
            yield make_chunk(texts.rename(dict(zip(frame.columns, headings, strict=True))), numbers, {})
            number += len(frame)
    except pl.exceptions.PolarsError as error:
        raise FileError(f"{path} can't be read as a Parquet file: {error}; write it again") from error


def _as_text(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        form = "%Y-%m-%dT%H:%M:%S%.f" + ("Z" if kind.time_zone else "")
        column = (column.dt.convert_time_zone("UTC") if kind.time_zone else column).dt.strftime(form)
    elif kind.is_float():
        # Whole numbers with gaps are floats to most programs that write Parquet; an id 17 is not "17.0".
        column = column.fill_nan(None).cast(pl.String).str.replace(r"\.0$", "")
    elif isinstance(kind, pl.List):
        column = column.cast(pl.List(pl.String)).list.join(";", ignore_nulls=True)
    elif isinstance(kind, pl.Struct):
        column = column.struct.json_encode()
    elif isinstance(kind, pl.Binary):
        column = column.bin.encode("hex")
    return column.cast(pl.String).fill_null("")
