"""The hierarchy above series: every total that the level columns span, and which series are in it."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from forecast.errors import InputError
from forecast.series.inputs import Inputs
from forecast.series.panel import Floats, Ints, Panel

# How a total is written in a level column, in files that hold totals and in what is written.
EVERY = "*"
BOTTOM = "bottom"
COLUMNS_MAX = 4
# The matrix of parts grows with the square of the series.
SERIES_MAX = 6000


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """Nodes, the widest first and the series themselves last.

    Attributes:
        nodes: `unique_id, level` and the level columns, one row a node; `*` where a column is summed over.
        parts: nodes × series, 1 where the series is in the node.
    """

    nodes: pl.DataFrame
    parts: Floats

    @property
    def series_count(self) -> int:
        """Count the series at the bottom."""
        return int(self.parts.shape[1])


def span_hierarchy(series: pl.DataFrame, columns: list[str], given: pl.DataFrame | None = None) -> Hierarchy:
    """Span all totals of the level columns and their crossings; columns that nest in others add no crossings.

    Args:
        series: `unique_id` and the level columns, one row a series.
        given: `unique_id, level` and the level columns of totals that the file itself holds; they are spanned instead.
    """
    if len(columns) > COLUMNS_MAX:
        raise InputError(f"{len(columns)} level columns were given; at most {COLUMNS_MAX} can be crossed")
    if series.height > SERIES_MAX:
        raise InputError(
            f"{series.height} series were given with levels; at most {SERIES_MAX} can be made to add up: "
            "add small ones together, or leave --levels out"
        )
    frames = (
        [_total(series, columns), *_crossings(series, columns)] if given is None else _given(series, columns, given)
    )
    bottom = series.select("unique_id", pl.lit(BOTTOM).alias("level"), *columns)
    nodes = pl.concat([*frames, bottom])
    twice = nodes.filter(pl.col("unique_id").is_duplicated())["unique_id"]
    if len(twice):
        raise InputError(
            f'a series is called "{twice[0]}", as a total of the levels is; give the series another unique_id'
        )
    return Hierarchy(nodes=nodes, parts=_parts(nodes, series, columns))


def sum_panel(panel: Panel, hierarchy: Hierarchy) -> Panel:
    """Add series up to the nodes; a series that has not begun, or has ended, counts as zero."""
    last = int(panel.ends.max())
    sums = hierarchy.parts @ _grid(panel, list(panel.history))
    return Panel(
        ids=tuple(hierarchy.nodes["unique_id"]),
        history=tuple(row[begin:] for row, begin in zip(sums, _begins(panel, hierarchy), strict=True)),
        ends=np.full(len(sums), last),
        calendar=panel.calendar,
        season=panel.season,
    )


def sum_inputs(inputs: Inputs, panel: Panel, hierarchy: Hierarchy) -> Inputs:
    """Add inputs up to the nodes; unknown where one of the node's series that sells then has none.

    The series end together.
    """
    span, names = int(panel.lengths.max()), range(len(inputs.names))
    sold = _grid(panel, [values != 0 for values in panel.history])
    past = [_summed(_grid(panel, [x[:, name] for x in inputs.past]), sold, hierarchy) for name in names]
    selling = np.array([np.isfinite(x[-1:]).any(axis=0) for x in inputs.past])
    future = [
        _summed(inputs.future[:, :, name], selling[:, name, None] | np.zeros(inputs.future.shape[1], bool), hierarchy)
        for name in names
    ]
    numbers = inputs.blocks[int(panel.lengths.argmax())]
    begins = _begins(panel, hierarchy)
    return Inputs(
        names=inputs.names,
        past=tuple(np.stack([x[node, begin:] for x in past], axis=1) for node, begin in enumerate(begins)),
        future=np.stack(future, axis=2),
        blocks=tuple(numbers[begin : span + inputs.future.shape[1]] for begin in begins),
    )


def _summed(values: Floats, counted: np.ndarray, hierarchy: Hierarchy) -> Floats:
    unknown = hierarchy.parts @ (np.isnan(values) & (counted > 0)) > 0
    some = hierarchy.parts @ np.isfinite(values) > 0
    return np.where(some & ~unknown, hierarchy.parts @ np.nan_to_num(values), np.nan)


def _grid(panel: Panel, rows: list[np.ndarray]) -> Floats:
    """Lay series × periods out up to the last period of all; zero before a series begins and after it ends."""
    last = int(panel.ends.max())
    span = int(max(panel.lengths + (last - panel.ends)))
    grid = np.zeros((len(rows), span))
    for row, (values, end) in enumerate(zip(rows, panel.ends, strict=True)):
        stop = span - (last - int(end))
        grid[row, stop - len(values) : stop] = values
    return grid


def _begins(panel: Panel, hierarchy: Hierarchy) -> Ints:
    """Give the first period of each node, counted as in the grid."""
    starts = panel.ends - panel.lengths
    return np.array([(starts[members > 0] - starts.min()).min() for members in hierarchy.parts])


def _total(series: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    every = [pl.lit(EVERY).alias(column) for column in columns]
    return series.head(1).select(pl.lit("total").alias("unique_id"), pl.lit("total").alias("level"), *every)


def _crossings(series: pl.DataFrame, columns: list[str]) -> list[pl.DataFrame]:
    """Give the nodes of every set of columns that divides the series in a way of its own."""
    seen = {1, series.height}
    divisions: list[np.ndarray] = []
    found = []
    for size in range(1, len(columns) + 1):
        for chosen in combinations(columns, size):
            groups = series.select(pl.struct(chosen).rank("dense")).to_series().to_numpy()
            count = int(groups.max())
            if count in seen and (count in {1, series.height} or any(_same(groups, other) for other in divisions)):
                continue
            seen.add(count)
            divisions.append(groups)
            found.append(_crossing(series, list(chosen), columns))
    return sorted(found, key=pl.DataFrame.__len__)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = len(np.unique(np.stack([one, other]), axis=1).T)
    return bool(pairs == one.max() == other.max())


def _crossing(series: pl.DataFrame, chosen: list[str], columns: list[str]) -> pl.DataFrame:
    """Give one node for each value of the chosen columns; columns that follow from them keep their value."""
    identity = pl.concat_str([pl.lit(f"{column}=") + pl.col(column) for column in chosen], separator="/")
    follows = [
        pl.when(pl.col(c).n_unique() == 1).then(pl.col(c).first()).otherwise(pl.lit(EVERY)).alias(c) for c in columns
    ]
    found = series.group_by(identity.alias("unique_id"), maintain_order=True).agg(follows).sort("unique_id")
    found = found.with_columns(
        [
            pl.when(pl.col(c).eq(EVERY).any() if c not in chosen else pl.lit(False))
            .then(pl.lit(EVERY))
            .otherwise(pl.col(c))
            .alias(c)
            for c in columns
        ]
    )
    return found.select("unique_id", pl.lit("_".join(chosen)).alias("level"), *columns)


def _given(series: pl.DataFrame, columns: list[str], given: pl.DataFrame) -> list[pl.DataFrame]:
    """Take the totals of the file, and the grand total in any case; a total of one series alone is that series."""
    known = given.select("unique_id", "level", *columns)
    if not known.filter(pl.all_horizontal(pl.col(columns) == EVERY)).height:
        known = pl.concat([_total(series, columns), known])
    stars = pl.sum_horizontal(pl.col(columns) == EVERY)
    return [known.sort(stars, "level", "unique_id", descending=[True, False, False])]


def _parts(nodes: pl.DataFrame, series: pl.DataFrame, columns: list[str]) -> Floats:
    count = series.height
    parts = np.ones((nodes.height, count))
    for column in columns:
        node, own = nodes[column].to_numpy()[:, None], series[column].to_numpy()[None, :]
        parts *= (node == EVERY) | (node == own)
    parts[-count:] = np.eye(count)
    empty = np.flatnonzero(parts.sum(axis=1) == 0)
    if len(empty):
        raise InputError(
            f'the total "{nodes["unique_id"][int(empty[0])]}" has no series below it; give its parts, or leave its rows out'
        )
    return parts
