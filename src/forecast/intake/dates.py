"""Dates that may be day first or month first, read as those of the other tables of the same import."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from forecast.intake.chunks import Chunk
from forecast.intake.content import leaves_date_order, told_date_order
from forecast.intake.files import TableFile, read_chunks
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.plan import Planning
from forecast.intake.survey import SeenColumn

_ORDERS = {"dmy": "day first", "mdy": "month first"}


def with_shared_date_order(
    tables: Sequence[tuple[TableFile, ColumnMapping]],
) -> list[tuple[TableFile, ColumnMapping]]:
    """Give tables whose dates leave open which is the day the order that the first rows of the others tell, if they agree.

    Raises:
        FileError: a file stops being readable on the way.
        MappingError: a mapping does not fit its table.
    """
    if len(tables) < 2:
        return list(tables)
    first = [_look(table, mapping, islice(read_chunks(table), 1)) for table, mapping in tables]
    told = {
        order: table.name for (table, _), seen in zip(tables, first, strict=True) if (order := told_date_order(seen))
    }
    if len(told) != 1:
        return list(tables)
    ((order, name),) = told.items()
    return [
        _read_as(order, name, table, mapping) if any(map(leaves_date_order, seen)) else (table, mapping)
        for (table, mapping), seen in zip(tables, first, strict=True)
    ]


def _look(table: TableFile, mapping: ColumnMapping, chunks: Iterable[Chunk]) -> list[SeenColumn]:
    planning = Planning(table, mapping, {})
    for chunk in chunks:
        planning.see(chunk)
    return planning.seen()


def _read_as(order: str, name: str, table: TableFile, mapping: ColumnMapping) -> tuple[TableFile, ColumnMapping]:
    """Give a table the order of another, unless later rows of its own tell it."""
    seen = _look(table, mapping, read_chunks(table))
    if told_date_order(seen) or not any(map(leaves_date_order, seen)):
        return table, mapping
    said = f"dates that may be day first or month first are read {_ORDERS[order]}, as those of {name} are; or set date_order in a mapping"
    return replace(table, warnings=(*table.warnings, said)), replace(mapping, date_order=order)
