"""Sheets of sales with a row a line: several rows share an order's id, its customer and its moment."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import polars as pl

from forecast.intake import vocabulary
from forecast.intake.columns import Reading, read_column
from forecast.intake.files import TableFile, read_chunks
from forecast.intake.mapping import IGNORE
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.plan import make_plan
from forecast.intake.recognition import custom_target, match_columns

_KEPT = ("account_id", "ordered_at", "opportunity_id", "owner_id", "team_id", "currency", "region", "channel", "status")
_LINE_FIELDS = ("product_id", "quantity", "unit_price", "amount")
_AGREE_SHARE = 0.99
_PARTS_AT_ONCE = 16
_OWN = "\0"  # no heading can begin so
_SUMMED = f"{_OWN}worth"
_AGREEING = {"account_id": f"{_OWN}account", "ordered_at": f"{_OWN}moment"}
_SHARED = {"status": f"{_OWN}status"}


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Headings of a sheet of sales: that of the order's id, and those of fields of orders and of lines."""

    order_id: str
    order: Mapping[str, str]
    line: Mapping[str, str]


def split_sales_lines(table: TableFile, mapping: ColumnMapping, folder: Path) -> list[tuple[TableFile, ColumnMapping]]:
    """Give the orders and the lines of a sheet of sales as tables of their own, written into `folder`.

    Any other table stays as it is, and so does one whose columns the mapping names.
    """
    columns = _find_columns(table, mapping)
    if columns is None or not (mapping.kind == "order_line" or _repeats(table, columns)):
        return [(table, mapping)]
    lines = _line_columns(table, columns)
    line_mapping = replace(
        mapping, kind="order_line", columns={heading: lines.get(heading, IGNORE) for heading in table.headings}
    )
    line_part = replace(_part(table, folder, part="lines"), headings=tuple(lines))
    readings = make_plan(table, read_chunks(table), line_mapping, {}).readings
    found = _read_lines(table, columns, readings, line_part)
    if not _agrees(found.orders):
        return [(table, mapping)]
    orders, told = _with_amounts(_with_shared(found.orders, columns), is_summed="amount" not in columns.line)
    said = (
        *table.warnings,
        f"{found.lines} rows are lines of {orders.height} orders, whose amounts are {told}",
        *([f"{found.lone} rows name no order: they are stored as lines of none"] if found.lone else []),
    )
    fields = {columns.order_id: "external_id", **{heading: field for field, heading in columns.order.items()}}
    known = {heading: fields.get(heading, heading) for heading in orders.columns}
    order_part = replace(_part(table, folder, part="orders"), headings=tuple(known), warnings=said)
    orders.write_csv(order_part.content)
    return [
        (order_part, replace(mapping, kind="order", decimal_mark=".", columns=known)),
        (line_part, replace(line_mapping, columns=lines)),
    ]


def _line_columns(table: TableFile, columns: _Columns) -> dict[str, str]:
    """Give the fields of the lines by heading; what is a field of neither orders nor lines is a custom field of the lines.

    So is what is the order's only where its lines share it.
    """
    lines = {columns.order_id: "order_id", **{heading: field for field, heading in columns.line.items()}}
    told = {heading for field, heading in columns.order.items() if field not in _SHARED}
    for heading in table.headings:
        if heading not in lines and heading not in told and not vocabulary.is_ignored(heading):
            lines[heading] = custom_target(heading, lines.values())
    return lines


def _find_columns(table: TableFile, mapping: ColumnMapping) -> _Columns | None:
    if mapping.kind not in ("order", "order_line") or mapping.columns or mapping.constants:
        return None
    nothing = ColumnMapping()
    order, line = (
        {field: heading for heading, field in match_columns(kind, table.headings, nothing).columns.items()}
        for kind in ("order", "order_line")
    )
    order_id = order.get("external_id") or line.get("order_id")
    has_value = "amount" in line or "amount" in order or {"quantity", "unit_price"} <= set(line)
    if not order_id or "product_id" not in line or not has_value or not {"account_id", "ordered_at"} <= set(order):
        return None
    value = {"amount": line.get("amount") or order.get("amount")} if "amount" in line or "amount" in order else {}
    return _Columns(
        order_id=order_id,
        order={field: order[field] for field in _KEPT if field in order},
        line={field: line[field] for field in _LINE_FIELDS[:-1] if field in line}
        | {k: v for k, v in value.items() if v},
    )


def _repeats(table: TableFile, columns: _Columns) -> bool:
    """Tell whether an order's id comes again among the first rows."""
    first = [chunk.texts[columns.order_id].drop_nulls() for chunk in islice(read_chunks(table), 1)]
    return any(ids.n_unique() < len(ids) for ids in first)


@dataclass(frozen=True)
class _Read:
    """What a sheet holds: a row an order, as `_orders_of` gives them; lines of orders, and lines of none."""

    orders: pl.DataFrame
    lines: int
    lone: int


def _read_lines(table: TableFile, columns: _Columns, readings: Sequence[Reading], part: TableFile) -> _Read:
    """Write the lines of a sheet as a table of their own, and add up their orders on the way.

    Rows of a wrong number of cells are written wider than the others, so that they are refused.
    """
    orders: list[pl.DataFrame] = []
    lines = lone = 0
    with part.content.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(part.headings)
        for chunk in read_chunks(table):
            chunk.texts.select(part.headings).write_csv(file, include_header=False)
            writer.writerows([*cells, *[""] * (len(part.headings) + 1 - len(cells))] for cells in chunk.ragged.values())
            named = chunk.texts.filter(pl.col(columns.order_id).is_not_null())
            lines, lone = lines + named.height, lone + chunk.texts.height - named.height
            orders.append(_orders_of(named, columns, readings))
            if len(orders) == _PARTS_AT_ONCE:
                orders = [_together(orders, columns)]
    return _Read(_together(orders, columns), lines, lone)


def _orders_of(texts: pl.DataFrame, columns: _Columns, readings: Sequence[Reading]) -> pl.DataFrame:
    """Give a row an order of some lines: what it says first, and what tells whether lines agree in `_SUMMED`, `_AGREEING` and `_SHARED`."""
    worth = _worth(texts, readings).alias(_SUMMED)
    asked = {field: name for field, name in (_AGREEING | _SHARED).items() if field in columns.order}
    agreeing = [texts[columns.order[field]].alias(name) for field, name in asked.items()]
    by_order = texts.with_columns(worth, *agreeing).group_by(columns.order_id, maintain_order=True)
    told = [
        expression
        for name in (_SUMMED, *asked.values())
        for expression in (
            pl.col(name).min().alias(f"{name} low"),
            pl.col(name).max().alias(f"{name} high"),
            pl.col(name).count().alias(f"{name} count"),
        )
    ]
    sums = pl.col(_SUMMED).sum().alias(f"{_SUMMED} sum"), pl.len().alias(f"{_SUMMED} lines")
    return by_order.agg(pl.col(_kept(columns)).first(), pl.col(_SUMMED).first(), *told, *sums)


def _together(parts: Sequence[pl.DataFrame], columns: _Columns) -> pl.DataFrame:
    """Join what parts of a sheet say of the same orders."""
    own = pl.selectors.starts_with(_OWN)
    return (
        pl.concat(parts, how="diagonal")
        .group_by(columns.order_id, maintain_order=True)
        .agg(
            pl.col(_kept(columns)).first(),
            pl.col(_SUMMED).first(),
            (own & pl.selectors.ends_with(" low")).min(),
            (own & pl.selectors.ends_with(" high")).max(),
            (own & pl.selectors.ends_with(" count", " sum", " lines")).sum(),
        )
    )


def _kept(columns: _Columns) -> list[str]:
    return list(dict.fromkeys(columns.order.values()))


def _worth(texts: pl.DataFrame, readings: Sequence[Reading]) -> pl.Series:
    """Read what each line is worth: its amount, else quantity times price."""
    read = {
        reading.field: read_column(texts[reading.heading], reading).values.cast(pl.Float64)
        for reading in readings
        if reading.field in ("amount", "quantity", "unit_price")
    }
    return read["amount"] if "amount" in read else read["quantity"] * read["unit_price"]


def _same(name: str) -> pl.Expr:
    """Tell whether all lines of an order say the same, or all nothing."""
    count, lines = pl.col(f"{name} count"), pl.col(f"{_SUMMED} lines")
    return ((count == lines) & (pl.col(f"{name} low") == pl.col(f"{name} high"))) | (count == 0)


def _agrees(orders: pl.DataFrame) -> bool:
    """Tell whether rows of one order agree in its customer and its moment."""
    return orders.filter(*map(_same, _AGREEING.values())).height >= _AGREE_SHARE * orders.height


def _with_shared(orders: pl.DataFrame, columns: _Columns) -> pl.DataFrame:
    """Leave out what not all lines of an order share: part of it may be cancelled, and the rest is sold."""
    shared = {columns.order[field]: name for field, name in _SHARED.items() if field in columns.order}
    return orders.with_columns(pl.when(_same(name)).then(pl.col(heading)) for heading, name in shared.items())


def _with_amounts(orders: pl.DataFrame, *, is_summed: bool) -> tuple[pl.DataFrame, str]:
    """Give the orders with their amounts, and how those were found; an amount that all lines repeat is the order's own."""
    several = orders.filter(pl.col(f"{_SUMMED} lines") > 1)
    if is_summed:
        told = "quantity times price, added up"
    elif several.filter(_same(_SUMMED)).height >= _AGREE_SHARE * several.height:
        return _named(orders, pl.col(_SUMMED)), "the one that all lines repeat"
    else:
        told = "those of the lines, added up"
    return _named(orders, pl.when(pl.col(f"{_SUMMED} count") > 0).then(pl.col(f"{_SUMMED} sum").round(4))), told


def _named(orders: pl.DataFrame, amount: pl.Expr) -> pl.DataFrame:
    return orders.with_columns(amount=amount).select(~pl.selectors.starts_with(_OWN))


def _part(table: TableFile, folder: Path, *, part: str) -> TableFile:
    """Give a table for a part of a sheet, to be written."""
    named = f"{table.part} {part}".strip()
    digest = hashlib.sha256(f"{table.sha256} {named}".encode()).hexdigest()
    return replace(
        table,
        part=named,
        content=folder / f"{digest}.csv",
        form="csv",
        separator=",",
        sheet="",
        heading_row=1,
        unnamed=frozenset(),
        warnings=(),
        sha256=digest,
    )
