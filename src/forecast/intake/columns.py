"""Whole columns: text in, typed values out, with what could not be read.

The usual ways of writing are read by Polars over the column at once; each distinct text that remains is read by itself.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from forecast.errors import RefusedValueError
from forecast.formulas import unguarded
from forecast.intake import values, vocabulary

FieldType = Literal[
    "text",
    "reference",
    "word",
    "number",
    "integer",
    "share",
    "boolean",
    "date",
    "moment",
    "date_text",
    "moment_text",
    "list",
]
ID_CHARACTERS_MAX = 200
_MOMENT = pl.Datetime("us", "UTC")
_DIGITS = r"^[+-]?\d{1,18}$"
_SAMPLE = 1000
_WHOLE_MAX = 2.0**53  # beyond, numbers are read to the nearest even one
_SLOW: frozenset[FieldType] = frozenset(
    {"word", "date", "moment", "date_text", "moment_text"}
)  # to look a text up is faster
_SIGNED_YEAR = r"^\+|[-/.]\+"  # would be read over
_DATE_FORMATS = {
    "ymd": ("%Y-%m-%d", "%Y/%m/%d"),
    "dmy": ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y"),
}
_ZONED_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%z")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How one column of a file is read.

    Attributes:
        heading: of the file.
        field: of ours, or `custom.<name>`.
        decimal_mark: of numbers.
        factor: that numbers are multiplied with, for headings such as 金额(万元).
        date_order: of dates whose year comes last.
        epoch_unit: s or ms where moments are counted from 1970, else empty.
        zone: of moments that name none; `date_text` and `moment_text` are custom dates, kept as ISO text.
        words: normalised word of the file -> text that is read in its place; empty is an empty cell.
        prefix: put before references, for ids of another source.
        bounds: least and greatest number allowed.
        list_marks: each of which separates the entries of a list.
    """

    heading: str
    field: str
    type: FieldType
    decimal_mark: str = "."
    factor: float = 1.0
    date_order: str = "dmy"
    epoch_unit: Literal["", "s", "ms"] = ""
    zone: ZoneInfo = dataclasses.field(default_factory=lambda: ZoneInfo("UTC"))
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prefix: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    list_marks: str = ";；、|"


@dataclass(frozen=True)
class Column:
    """A column as read: nulls are empty cells and those whose text is among `refused`."""

    values: pl.Series
    refused: Mapping[str, RefusedValueError]


def read_column(texts: pl.Series, reading: Reading, *, is_plain: bool = False) -> Column:
    """Read a column of texts, stripped and null where empty; those that are plain hold no zero byte and no apostrophe."""
    if reading.type in _SLOW and _repeats(texts):
        return _read_distinct(texts, reading)
    if reading.words:
        texts = _translated(texts, reading.words)
    return (_PLAIN_READERS if is_plain else _READERS)[reading.type](texts, reading)


def _repeats(texts: pl.Series) -> bool:
    """Tell whether most of some texts from all over the column come again among them."""
    some = texts.gather_every(len(texts) // _SAMPLE + 1)
    return some.n_unique() * 2 < len(some)


def _read_distinct(texts: pl.Series, reading: Reading) -> Column:
    """Read every distinct text once."""
    distinct = texts.unique().drop_nulls()
    column = read_column(distinct, reading)
    values = texts.replace_strict(distinct, column.values, default=None, return_dtype=column.values.dtype)
    return Column(values, column.refused)


def _translated(texts: pl.Series, words: Mapping[str, str]) -> pl.Series:
    distinct = texts.drop_nulls().unique().to_list()
    keys = {text: vocabulary.word_key(text) for text in distinct}
    ours = {text: words[key] or None for text, key in keys.items() if key in words}
    return texts.replace(list(ours), list(ours.values())) if ours else texts


def _each(texts: pl.Series, fast: pl.Series, read: Callable[[str], Any]) -> Column:
    """Complete the column read fast by reading every remaining distinct text by itself; marks of missing cells stay empty."""
    if fast.null_count() == texts.null_count():
        return Column(fast, {})
    left = texts.filter(fast.is_null() & texts.is_not_null()).unique()
    found: dict[str, Any] = {}
    refused: dict[str, RefusedValueError] = {}
    for text in left:
        if text.lower() in vocabulary.missing_words():
            continue
        try:
            found[text] = read(text)
        except RefusedValueError as error:
            refused[text] = error
    if found:
        slow = texts.replace_strict(
            pl.Series(list(found), dtype=pl.String),
            pl.Series(list(found.values()), dtype=fast.dtype),
            default=None,
            return_dtype=fast.dtype,
        )
        fast = fast.zip_with(fast.is_not_null(), slow)
    return Column(fast, refused)


def _read_plain_text(texts: pl.Series, _: Reading) -> Column:
    return Column(texts, {})


def _read_text(texts: pl.Series, _: Reading) -> Column:
    has_zero = texts.str.contains("\x00", literal=True)
    if not has_zero.any():
        return Column(unguarded(texts), {})
    bad = texts.filter(has_zero.fill_null(value=False)).unique()
    refused = {text: RefusedValueError(text, "holds a zero byte", "write it without") for text in bad}
    return Column(unguarded(_without(texts, refused)), refused)


def _read_plain_reference(texts: pl.Series, reading: Reading) -> Column:
    return _prefixed(_short(Column(texts, {})), reading)


def _read_reference(texts: pl.Series, reading: Reading) -> Column:
    return _prefixed(_short(_read_text(texts, reading)), reading)


def _prefixed(column: Column, reading: Reading) -> Column:
    if not reading.prefix:
        return column
    return Column(pl.Series(column.values.name, [reading.prefix]) + column.values, column.refused)


def _short(column: Column) -> Column:
    is_long = column.values.str.len_bytes() > ID_CHARACTERS_MAX  # cheaper to tell than characters, which are fewer
    if not is_long.any():
        return column
    long = column.values.filter((column.values.str.len_chars() > ID_CHARACTERS_MAX).fill_null(value=False)).unique()
    refused = {
        text: RefusedValueError(text, "is too long for an id", f"write at most {ID_CHARACTERS_MAX} characters")
        for text in long
    }
    return Column(_without(column.values, refused), {**column.refused, **refused})


def _without(texts: pl.Series, refused: Mapping[str, RefusedValueError]) -> pl.Series:
    return texts.set(texts.is_in(list(refused)), None) if refused else texts


def _read_word(texts: pl.Series, reading: Reading) -> Column:
    ours = set(reading.words.values())
    expected = f"write {', '.join(sorted(ours - {''}))}, or say what it means in [values.{reading.field}] of a mapping"

    def read(text: str) -> str:
        if text not in ours:
            raise RefusedValueError(text, f"is not a {reading.field} that is known", expected)
        return text

    return _each(texts, pl.Series(texts.name, [None], dtype=pl.String).new_from_index(0, len(texts)), read)


def _read_number(texts: pl.Series, reading: Reading) -> Column:
    if reading.factor > 1:
        # A cell that names its unit has been scaled by it; only the others are in the heading's.
        return _read_apart(texts, reading, "[万亿]")
    return _read_scaled(texts, reading)


def _read_apart(texts: pl.Series, reading: Reading, own_unit: str) -> Column:
    signed = texts.str.contains(own_unit)
    own = _read_scaled(texts.set(~signed, None), replace(reading, factor=1.0))
    others = _read_scaled(texts.set(signed, None), reading)
    return Column(own.values.zip_with(own.values.is_not_null(), others.values), {**own.refused, **others.refused})


def _read_scaled(texts: pl.Series, reading: Reading) -> Column:
    fast = _cast_number(texts if reading.decimal_mark == "." else texts.set(~texts.str.contains(_DIGITS), None))
    column = _each(texts, fast, partial(values.read_number, decimal_mark=reading.decimal_mark))
    return _within(texts, Column(_scaled(column.values, reading.factor), column.refused), reading.bounds)


def _cast_number(texts: pl.Series) -> pl.Series:
    numbers = texts.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def _scaled(numbers: pl.Series, factor: float) -> pl.Series:
    # Rounding undoes the last bit: 57 percent is 0.57, not 0.5700000000000001.
    return (numbers * factor).round(12) if factor < 1 else numbers * factor


def _within(texts: pl.Series, column: Column, bounds: tuple[float, float]) -> Column:
    low, high = bounds
    outside = ~column.values.is_between(low, high).fill_null(value=True)
    if not outside.any():
        return column
    refused = {
        text: RefusedValueError(text, "is out of range", f"write a number from {low:.15g} to {high:.15g}")
        for text in texts.filter(outside).unique()
    }
    return Column(column.values.set(outside, None), {**column.refused, **refused})


def _read_share(texts: pl.Series, reading: Reading) -> Column:
    # A cell with its own percent sign is divided by its reader; only the others are by the column's factor.
    return _read_apart(texts, reading, "[%％]")


def _read_integer(texts: pl.Series, reading: Reading) -> Column:
    low, high = reading.bounds
    column = _read_number(texts, replace(reading, bounds=(max(low, -_WHOLE_MAX), min(high, _WHOLE_MAX))))
    broken = (column.values != column.values.round(0)).fill_null(value=False)
    refused = {
        text: RefusedValueError(text, "is not a whole number", "write it without a fraction")
        for text in texts.filter(broken).unique()
    }
    return Column(column.values.set(broken, None).cast(pl.Int64), {**column.refused, **refused})


def _read_boolean(texts: pl.Series, _: Reading) -> Column:
    return _each(
        texts, pl.Series(texts.name, [None], dtype=pl.Boolean).new_from_index(0, len(texts)), values.read_boolean
    )


def _read_date(texts: pl.Series, reading: Reading) -> Column:
    if reading.epoch_unit:
        column = _read_epoch(texts, reading)
        return Column(column.values.dt.convert_time_zone(reading.zone.key).dt.date(), column.refused)
    fast = _strptime(texts, _DATE_FORMATS["ymd"] + _DATE_FORMATS.get(reading.date_order, ()), pl.Date())
    return _each(texts, fast, partial(values.read_date, date_order=reading.date_order, zone=reading.zone))


def _read_moment(texts: pl.Series, reading: Reading) -> Column:
    if reading.epoch_unit:
        return _read_epoch(texts, reading)
    ways = [partial(_strptime, formats=_ZONED_FORMATS, dtype=_MOMENT), partial(_read_local, reading=reading)]
    likely, other = ways if ways[0](texts.drop_nulls().head(1)).count() else reversed(ways)
    fast = likely(texts)
    if fast.null_count() > texts.null_count():
        fast = fast.zip_with(fast.is_not_null(), other(texts.set(fast.is_not_null(), None)))
    return _each(texts, fast, partial(values.read_moment, date_order=reading.date_order, zone=reading.zone))


def _read_local(texts: pl.Series, reading: Reading) -> pl.Series:
    local = _strptime(texts, _local_formats(reading.date_order), pl.Datetime("us"))
    # An hour that the clocks skipped is left to the slow way, which reads it as the clock before the change would.
    placed = local.dt.replace_time_zone(reading.zone.key, non_existent="null", ambiguous="earliest")
    return placed.dt.convert_time_zone("UTC")


def _local_formats(date_order: str) -> tuple[str, ...]:
    iso = (
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S%.f",  # four times as slow
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d",
        "%Y/%m/%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
    )
    days = () if date_order == "ymd" else _DATE_FORMATS[date_order]
    return (*iso, *(f"{day}{clock}" for day in days for clock in ("", " %H:%M", " %H:%M:%S")))


def _strptime(texts: pl.Series, formats: tuple[str, ...], dtype: pl.Date | pl.Datetime) -> pl.Series:
    """Read what any of the formats reads, each tried on what the earlier ones left; years of four digits only."""
    found = pl.Series(texts.name, [None], dtype=dtype).new_from_index(0, len(texts))
    left = texts
    for form in _likely_first(texts.drop_nulls().head(1), formats, dtype):
        parsed = left.str.strptime(dtype, form, strict=False)
        parsed = parsed.set(~parsed.dt.year().is_between(1000, 9998), None)
        if left.str.contains("+", literal=True).any():
            parsed = parsed.set(left.str.contains(_SIGNED_YEAR), None)
        found = parsed if left is texts else found.zip_with(found.is_not_null(), parsed)
        if found.null_count() == texts.null_count():
            break
        left = texts.set(found.is_not_null(), None)
    return found


def _likely_first(sample: pl.Series, formats: tuple[str, ...], dtype: pl.Date | pl.Datetime) -> Iterator[str]:
    """Give the formats, one that reads the sample before the others; none where there is no sample."""
    if sample.is_empty():
        return
    fit = next((form for form in formats if sample.str.strptime(dtype, form, strict=False).count()), formats[0])
    yield fit
    yield from (form for form in formats if form != fit)


def _read_epoch(texts: pl.Series, reading: Reading) -> Column:
    unit: Literal["s", "ms"] = "s" if reading.epoch_unit == "s" else "ms"
    numbers = texts.str.to_integer(strict=False)
    moments = pl.from_epoch(numbers, time_unit=unit).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return _each(texts, moments, partial(values.read_moment, date_order=reading.date_order, zone=reading.zone))


def _read_date_text(texts: pl.Series, reading: Reading) -> Column:
    column = _read_date(texts, reading)
    return Column(column.values.dt.strftime("%Y-%m-%d"), column.refused)


def _read_moment_text(texts: pl.Series, reading: Reading) -> Column:
    column = _read_moment(texts, reading)
    return Column(column.values.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), column.refused)


def _read_list(texts: pl.Series, reading: Reading) -> Column:
    """Split at the marks; an entry in quotation marks, doubled inside it, may hold them."""
    column = _read_text(texts, reading)
    quoted, rest = r'"(?:[^"]|"")*"', f"[^{re.escape(reading.list_marks)}]"
    entry = pl.element().str.strip_chars()
    bare = entry.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    read = pl.when(entry.str.contains(f"^{quoted}$")).then(bare).otherwise(entry).filter(entry != "")
    return Column(column.values.str.extract_all(rf"\s*{quoted}{rest}*|{rest}+").list.eval(read), column.refused)


_READERS: Mapping[FieldType, Callable[[pl.Series, Reading], Column]] = {
    "text": _read_text,
    "reference": _read_reference,
    "word": _read_word,
    "number": _read_number,
    "integer": _read_integer,
    "share": _read_share,
    "boolean": _read_boolean,
    "date": _read_date,
    "moment": _read_moment,
    "date_text": _read_date_text,
    "moment_text": _read_moment_text,
    "list": _read_list,
}
_PLAIN_READERS: Mapping[FieldType, Callable[[pl.Series, Reading], Column]] = {
    **_READERS,
    "text": _read_plain_text,
    "reference": _read_plain_reference,
}
