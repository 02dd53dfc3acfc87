"""Sentences on what a file left open and how it was decided."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from forecast.intake import survey, vocabulary
from forecast.intake.columns import Reading
from forecast.intake.mapping import CUSTOM
from forecast.intake.survey import SeenColumn

_OF_CUSTOMERS = ("account_id", "ordered_at", "amount")
_NO = frozenset({"否", "no", "n", "0", "false"})


def doubts(seen: Sequence[SeenColumn], readings: Sequence[Reading], foreign: Mapping[str, str]) -> Iterator[str]:
    """Give what is doubtful in how columns are read.

    Args:
        seen: the columns.
        readings: how each is read, in the same order.
        foreign: heading -> custom field of the columns called status that hold none.
    """
    for heading, field in foreign.items():
        yield (
            f'most words of "{heading}" are no status that is known; it is kept as {field}, '
            "or say what they mean in [values.status] of a mapping and set the column to status"
        )
    for column, reading in zip(seen, readings, strict=True):
        if reading.type in {"date", "moment", "date_text", "moment_text"}:
            yield from _date_doubts(column, reading)
        elif reading.type in {"number", "integer", "share"}:
            yield from _number_doubts(column, reading)
        elif reading.type == "word":
            yield from _word_doubts(column, reading)


def missing_doubts(kind: str, found: Collection[str]) -> Iterator[str]:
    """Say which fields of orders no column fills, without which customers can't be valued."""
    missing = [name for name in _OF_CUSTOMERS if name not in found]
    if kind == "order" and missing:
        unless = ", unless their lines have prices" if missing == ["amount"] else ""
        yield (
            f"no column names {', '.join(missing)}, without which orders say nothing of what customers are worth{unless}; "
            "name the columns in [columns] of a mapping"
        )


def type_doubts(seen: Sequence[SeenColumn], changed: Collection[str]) -> Iterator[str]:
    """Give the custom fields whose declared type most cells contradict."""
    for column in seen:
        if column.custom in changed:
            yield f'most cells of "{column.heading}" are not of the declared type; {CUSTOM}{column.custom} becomes text'


def _date_doubts(column: SeenColumn, reading: Reading) -> Iterator[str]:
    if column.mapping.date_order is None and survey.date_order(column.tally)[1]:
        order = {"dmy": "day first", "mdy": "month first"}[reading.date_order]
        yield (
            f'the dates of "{column.heading}" may be day first or month first; they are read {order}, '
            "or set date_order in a mapping"
        )


def _number_doubts(column: SeenColumn, reading: Reading) -> Iterator[str]:
    if column.mapping.decimal_mark is None and survey.decimal_mark(column.tally)[1]:
        yield (
            f'the numbers of "{column.heading}" may be written with a decimal point or a decimal comma; '
            f'the mark is taken to be "{reading.decimal_mark}", or set decimal_mark in a mapping'
        )


def _word_doubts(column: SeenColumn, reading: Reading) -> Iterator[str]:
    decided = column.mapping.values.get(column.field, {})
    for word in sorted(name.removeprefix("word:") for name in column.tally.counts if name.startswith("word:")):
        if vocabulary.word_key(word) in _NO and word not in decided:
            ours = reading.words.get(vocabulary.word_key(word))
            yield (
                f'"{word}" in "{column.heading}" is read as {ours}; if it means not yet decided, '
                f'set "{word}" = "open" in [values.{column.field}] of a mapping'
            )
