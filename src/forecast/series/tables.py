"""Read tables as people have them: encodings, separators, ways to write days and numbers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from forecast.encodings import find_encoding
from forecast.errors import FileError, InputError
from forecast.series.days import read_days

# How columns are called in files that were not made for this.
NAMES = {
    "unique_id": ("series", "series_id", "id", "序列", "编号"),
    "ds": ("date", "day", "month", "period", "week", "日期", "月份", "时间"),
    "y": ("revenue", "sales", "amount", "value", "销售额", "金额", "收入", "营收"),
}
SEPARATORS = (",", ";", "\t")
THOUSANDS = r"^[-+]?\d{1,3}([,\u00a0 ']\d{3})+(\.\d+)?$"
DECIMAL_COMMA = r"^[-+]?\d{1,3}(\.\d{3})*,\d+$|^[-+]?\d+,\d+$"
UNKNOWN = ("", "na", "n/a", "#n/a", "null", "none")
TO_LONG = "df.melt(id_vars=['unique_id'], var_name='ds', value_name='y') of pandas makes it so"


def read_table(path: Path) -> pl.DataFrame:
    """Read a CSV (UTF-8, UTF-16, GB 18030 or Windows' Latin; commas, semicolons or tabs) or Parquet file, text as it stands.

    Raises:
        FileError: there is no such file, or it is neither CSV nor Parquet.
    """
    if path.suffix.lower() not in {".csv", ".parquet"}:
        raise FileError(f"{path} is neither .csv nor .parquet; save it as one of them")
    try:
        return pl.read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except FileNotFoundError as error:
        raise FileError(
            f"{path} is not there; give a CSV or Parquet file with the columns unique_id, ds and y"
        ) from error
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        why = str(error).split("\n", 1)[0]  # What follows is for those who call the reader.
        raise FileError(f"{path} can't be read: {why}; save it as CSV in UTF-8 or as Parquet") from error


def _read_csv(path: Path) -> pl.DataFrame:
    content = path.read_text(encoding=find_encoding(path))
    if "\x00" in content:
        raise FileError(f"{path} is not text; save it as a CSV file")
    head = content.split("\n", 1)[0]
    separator = max(SEPARATORS, key=head.count)
    table = pl.read_csv(content.encode(), infer_schema=False, separator=separator)
    return table.rename({name: name.strip() for name in table.columns})


def renamed(frame: pl.DataFrame, columns: Iterable[str], *, kept: Sequence[str] = ()) -> pl.DataFrame:
    """Call columns as they are called here, where they stand under other usual names; those to be kept stay."""
    names = {}
    for column in columns:
        found = [name for name in frame.columns if name.lower() in {column, *NAMES[column]} and name not in kept]
        if column not in frame.columns and len(found) == 1:
            names[found[0]] = column
    return frame.rename(names)


def named(frame: pl.DataFrame, path: Path, levels: list[str]) -> pl.DataFrame:
    """Call the columns unique_id, ds and y, where they stand under other usual names.

    Raises:
        InputError: a column is not there, or the file is wide.
    """
    frame = renamed(frame, NAMES, kept=levels)
    missing = [name for name in ("ds", "y", *levels) if name not in frame.columns]
    if not missing:
        return frame
    _refuse_wide(frame, path)
    meant = [f"{name} ({', '.join(NAMES[name])} are understood)" if name in NAMES else name for name in missing]
    raise InputError(
        f"{path} has no column {' and no '.join(meant)}; found {', '.join(frame.columns)}: "
        f"call the column that is meant {' or '.join(missing)}"
    )


def _refuse_wide(frame: pl.DataFrame, path: Path) -> None:
    columns = pl.Series(frame.columns)
    days = columns.filter(read_days(columns).is_not_null())
    if len(days) >= 2:
        raise InputError(
            f"{path} is wide: {len(days)} of its columns are periods, {days[0]} to {days[-1]}; one row a series and period "
            f"is expected, with the columns unique_id, ds, y: {TO_LONG}"
        )
    others = [name for name in frame.columns if name != "ds"]
    if "ds" in frame.columns and "y" not in frame.columns and len(others) > 1:
        raise InputError(
            f"{path} has no column y beside ds, but {', '.join(others[:5])}; if these are series, the file is wide: one row a "
            "series and period is expected, with the columns unique_id, ds, y: "
            "df.melt(id_vars=['ds'], var_name='unique_id', value_name='y') of pandas makes it so"
        )


def typed_day(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Read `ds` as days; months, quarters, weeks and years by their first."""
    kind = frame.schema["ds"]
    if kind == pl.Date:
        return frame
    if isinstance(kind, pl.Datetime):
        moments = frame.with_columns(pl.col("ds").dt.replace_time_zone(None))
        _refuse_hours(moments.filter(pl.col("ds").dt.time() != pl.time(0)), path)
        return moments.with_columns(pl.col("ds").dt.date())
    if kind.is_integer():
        frame = frame.with_columns(pl.col("ds").cast(pl.String))
    elif kind != pl.String:
        raise InputError(f"{path}, column ds holds {kind}; write days as 2024-01-31")
    _refuse_hours(
        frame.filter(
            pl.col("ds").str.contains(r"[T ]\d{1,2}:\d{2}") & ~pl.col("ds").str.contains(r"[T ]0?0:00(:00|$)")
        ),
        path,
    )
    read = frame.with_columns(day=read_days(frame["ds"]))
    refuse_first(read, pl.col("day").is_null(), path, "ds", "is not a day; write it as 2024-01-31")
    return read.with_columns(ds=pl.col("day")).drop("day")


def _refuse_hours(moments: pl.DataFrame, path: Path) -> None:
    """Refuse times of day, where they differ; one time for all days, as time zones leave it, is none."""
    hours = moments["ds"].cast(pl.String).str.extract(r"[T ](\d{1,2}:\d{2})")
    if hours.n_unique() > 1:
        raise InputError(
            f"{path}, column ds holds times of day, such as {moments['ds'][0]}; hours are not forecast: add up the rows of each day"
        )


def typed_number(frame: pl.DataFrame, path: Path, column: str) -> pl.DataFrame:
    """Read a column as numbers, with or without separators of thousands; empty stays empty, brackets are minus.

    A comma is the decimal one only if every comma of the column can be, and one can be nothing else: 12,50.
    """
    text = pl.col(column)
    if frame.schema[column] == pl.String:
        text = text.str.strip_chars().str.replace(r"^\((.+)\)$", "-${1}").str.strip_chars_start("¥￥$€£ ")
        text = pl.when(~text.str.to_lowercase().is_in(UNKNOWN)).then(text)
        comma = text.str.contains(DECIMAL_COMMA)
        decimal = (text.str.contains(r",(\d{1,2}|\d{4,})$")).any() & (comma | text.str.contains(r"^[-+]?[\d.]+$")).all()
        grouped = text.str.contains(THOUSANDS)
        text = (
            pl.when(decimal & comma)
            .then(text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
            .when(decimal)
            .then(text.str.replace_all(r"\.(\d{3})", "$1"))
            .when(grouped)
            .then(text.str.replace_all(r"[,\u00a0 ']", ""))
            .otherwise(text)
        )
    read = frame.with_columns(number=text.cast(pl.Float64, strict=False), text=text.cast(pl.String))
    bad = pl.col("text").is_not_null() & (pl.col("number").is_null() | pl.col("number").is_infinite())
    refuse_first(read, bad, path, column, "is not a number; write it as 1234.5")
    return read.with_columns(pl.col("number").fill_nan(None).alias(column)).drop("number", "text")


def refuse_first(frame: pl.DataFrame, bad: pl.Expr, path: Path, column: str, what: str) -> None:
    """Refuse the first row for which `bad` holds."""
    found = frame.with_row_index("at").filter(bad)
    if found.height:
        row = found["row"][0] if "row" in found.columns else int(found["at"][0]) + 2
        value = "" if found[column][0] is None else found[column][0]
        raise InputError(f'{path}, row {row}, column {column}: "{value}" {what}')
