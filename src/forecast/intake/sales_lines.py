"""Sheets of sales with a row a line: several rows share an order's id, its customer and its moment."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import polars as pl

from forecast.intake import vocabulary
from forecast.intake.columns import read_column
from forecast.intake.files import TableFile, read_chunks
from forecast.intake.mapping import IGNORE
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.plan import make_plan
from forecast.intake.recognition import custom_target, match_columns

_KEPT = ("account_id", "ordered_at", "opportunity_id", "owner_id", "currency", "region", "channel")
_LINE_FIELDS = ("product_id", "quantity", "unit_price", "amount")
_AGREE_SHARE = 0.99


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
    if columns is None or not _repeats(table, columns):
        return [(table, mapping)]
    chunks = list(read_chunks(table))
    texts = pl.concat([chunk.texts for chunk in chunks])
    ordered = texts.filter(pl.col(columns.order_id).is_not_null())
    if not _agrees(ordered, columns, ("account_id", "ordered_at")):
        return [(table, mapping)]
    lines = _line_columns(table, columns)
    line_mapping = replace(
        mapping, kind="order_line", columns={heading: lines.get(heading, IGNORE) for heading in table.headings}
    )
    orders, told = _orders(ordered, _line_amounts(table, ordered, columns, line_mapping), columns)
    said = (
        *table.warnings,
        f"{ordered.height} rows are lines of {orders.height} orders, whose amounts are {told}",
        *(
            [f"{rows} rows name no order: they are stored as lines of none"]
            if (rows := texts.height - ordered.height)
            else []
        ),
    )
    misshapen = [cells for chunk in chunks for cells in chunk.ragged.values()]
    fields = {columns.order_id: "external_id", **{heading: field for field, heading in columns.order.items()}}
    known = {heading: fields.get(heading, heading) for heading in orders.columns}
    order_mapping = replace(mapping, kind="order", decimal_mark=".", columns=known)
    return [
        (_written(table, orders, folder, part="orders", said=said), order_mapping),
        (
            _written(table, texts.select(list(lines)), folder, part="lines", misshapen=misshapen),
            replace(line_mapping, columns=lines),
        ),
    ]


def _line_columns(table: TableFile, columns: _Columns) -> dict[str, str]:
    """Give the fields of the lines by heading; what is a field of neither orders nor lines is a custom field of the lines."""
    lines = {columns.order_id: "order_id", **{heading: field for field, heading in columns.line.items()}}
    for heading in table.headings:
        if heading not in lines and heading not in columns.order.values() and not vocabulary.is_ignored(heading):
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


def _agrees(texts: pl.DataFrame, columns: _Columns, fields: tuple[str, ...]) -> bool:
    """Tell whether rows of one order agree in the columns of these fields."""
    headings = [columns.order[field] for field in fields]
    orders = texts.group_by(columns.order_id).agg(pl.col(headings).n_unique())
    return orders.filter(pl.all_horizontal(pl.col(headings) == 1)).height >= _AGREE_SHARE * orders.height


def _line_amounts(table: TableFile, texts: pl.DataFrame, columns: _Columns, mapping: ColumnMapping) -> pl.DataFrame:
    """Read what each line says of its value: `order_id` and those of `amount, quantity, unit_price` that are there."""
    plan = make_plan(table, read_chunks(table), mapping, {})
    read = {
        reading.field: read_column(texts[reading.heading], reading).values.cast(pl.Float64)
        for reading in plan.readings
        if reading.field in ("amount", "quantity", "unit_price")
    }
    return pl.DataFrame({"order_id": texts[columns.order_id], **read})


def _orders(texts: pl.DataFrame, values: pl.DataFrame, columns: _Columns) -> tuple[pl.DataFrame, str]:
    """Give a row an order, as text, and how its amount was found.

    An amount that all lines of an order repeat is the order's own.
    """
    worth, told = pl.col("amount"), "those of the lines, added up"
    if "amount" not in values.columns:
        worth, told = pl.col("quantity") * pl.col("unit_price"), "quantity times price, added up"
    amount = pl.when(worth.is_not_null().any()).then(worth.sum()).otherwise(None)
    if "amount" in values.columns and _is_of_the_order(values):
        amount, told = worth.first(), "the one that all lines repeat"
    sums = values.group_by("order_id", maintain_order=True).agg(amount.round(4).alias("amount"))
    kept = list(dict.fromkeys(columns.order.values()))
    first = texts.group_by(columns.order_id, maintain_order=True).agg(pl.col(kept).first())
    return first.with_columns(sums["amount"].alias("amount")), told


def _is_of_the_order(values: pl.DataFrame) -> bool:
    several = values.group_by("order_id").agg(pl.len(), same=pl.col("amount").n_unique() == 1).filter(pl.col("len") > 1)
    return several["same"].sum() >= _AGREE_SHARE * several.height


def _written(
    table: TableFile,
    rows: pl.DataFrame,
    folder: Path,
    *,
    part: str,
    said: tuple[str, ...] = (),
    misshapen: Sequence[Sequence[str]] = (),
) -> TableFile:
    """Write a part of a sheet; rows of a wrong number of cells come last, wider than the part, so that they are refused."""
    named = f"{table.part} {part}".strip()
    digest = hashlib.sha256(f"{table.sha256} {named}".encode()).hexdigest()
    path = folder / f"{digest}.csv"
    rows.write_csv(path)
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*cells, *[""] * (rows.width + 1 - len(cells))] for cells in misshapen)
    return replace(
        table,
        part=named,
        content=path,
        form="csv",
        separator=",",
        sheet="",
        headings=tuple(rows.columns),
        heading_row=1,
        unnamed=frozenset(),
        warnings=said,
        sha256=digest,
    )
