"""What is known of periods before they come, read from files: promotions, prices, working days, quotas, budgets."""

from dataclasses import dataclass
from math import isclose
from pathlib import Path

import numpy as np
import polars as pl

from forecast.errors import InputError
from forecast.series.calendar import Calendar, infer_calendar
from forecast.series.panel import Floats, Ints, Panel
from forecast.series.tables import read_table, renamed, typed_day, typed_number

EVERY_SERIES = ""

Values = dict[tuple[str, int], tuple[float | None, ...]]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Values that are known of each period.

    Attributes:
        names: of the inputs.
        past: one a series, periods × inputs, as its history; nan where not known.
        future: series × horizon × inputs; nan where not known.
        blocks: one a series, of history and horizon: the number of the period that a value is of. Periods of one number
            share a value of a longer period, such as the months of a quarter.
    """

    names: tuple[str, ...]
    past: tuple[Floats, ...]
    future: Floats
    blocks: tuple[Ints, ...]

    @property
    def are_whole(self) -> bool:
        """Say whether every period has every value."""
        return bool(np.isfinite(self.future).all() and all(np.isfinite(past).all() for past in self.past))

    def named(self, names: list[str]) -> "Inputs":
        """Keep the inputs of these names."""
        chosen = [self.names.index(name) for name in names]
        return Inputs(
            names=tuple(names),
            past=tuple(past[:, chosen] for past in self.past),
            future=self.future[:, :, chosen],
            blocks=self.blocks,
        )

    def before(self, last: int, chosen: Ints, steps: int) -> "Inputs":
        """Give what was known of the chosen series so many periods before their end, for as many steps."""
        return Inputs(
            names=self.names,
            past=tuple(self.past[index][:-last] for index in chosen),
            future=np.stack([self.past[index][len(self.past[index]) - last :][:steps] for index in chosen]),
            blocks=tuple(self.blocks[index][: len(self.past[index]) - last + steps] for index in chosen),
        )


def read_inputs(path: Path, panel: Panel, horizon: int, *, history: Path | None = None) -> Inputs:
    """Read `ds`, `unique_id` where inputs differ by series, and one column of numbers an input.

    Rows may be of longer periods than the series, such as quarters for months.

    Args:
        path: has the periods ahead, and may have those of history.
        history: the file of the series, whose columns of the same names are taken for periods that `path` lacks.

    Raises:
        InputError: a period has two rows or no value, or both files have one and differ. What is never zero, such as a quota,
            may begin later than the history and end before the horizon.
    """
    table = _table(path)
    names = tuple(name for name in table.columns if name not in {"row", "ds", "unique_id", "y"})
    if not names:
        raise InputError(f"{path} has no input beside ds and unique_id; give a column of numbers, such as promotion")
    longer = _longer_calendar(table["ds"].to_numpy(), panel.calendar)
    values = _values(table, path, names, longer or panel.calendar)
    if history is not None and longer is None and {"ds", *names} <= set(_read(history).columns):
        before = _values(_table(history), history, names, panel.calendar)
        _refuse_contradictions(values, before, names, panel.calendar, told=(path, history))
        values = before | values
    found = _laid_out(values, names, panel, horizon, longer)
    _refuse_gaps(found, path, panel)
    return found


def _read(path: Path) -> pl.DataFrame:
    return renamed(read_table(path), ("unique_id", "ds"))


def _table(path: Path) -> pl.DataFrame:
    table = _read(path)
    if "ds" not in table.columns:
        raise InputError(f"{path} has no column ds; found {', '.join(table.columns)}")
    return typed_day(table.with_row_index("row", offset=2), path)


def _longer_calendar(days: np.ndarray, own: Calendar) -> Calendar | None:
    """Find the calendar of inputs of longer periods than the series'; None where they are of the same."""
    days = np.unique(days.astype("datetime64[D]"))
    if len(days) < 2 or np.diff(own.ordinals(days)).min() <= 1:
        return None
    try:
        return infer_calendar(days, np.diff(days).astype(np.int64))
    except InputError:
        return None


def _values(table: pl.DataFrame, path: Path, names: tuple[str, ...], calendar: Calendar) -> Values:
    """Give inputs by series and period; a file without `unique_id` speaks of every series, named by nothing."""
    for name in names:
        table = typed_number(table, path, name)
    shared = "unique_id" not in table.columns
    keys = [EVERY_SERIES] * table.height if shared else table["unique_id"].cast(pl.String).to_list()
    periods = calendar.ordinals(table["ds"].to_numpy()).tolist()
    _refuse_twice(table.with_columns(pl.Series("key", keys), pl.Series("period", periods)), path)
    return {(key, period): row for key, period, row in zip(keys, periods, table.select(names).rows(), strict=True)}


def _refuse_twice(table: pl.DataFrame, path: Path) -> None:
    twice = table.filter(pl.struct("key", "period").is_duplicated()).sort("key", "period", "row")
    if twice.height:
        of = f' of series "{twice["key"][0]}"' if twice["key"][0] else ""
        raise InputError(
            f"{path} has the period of {twice['ds'][0]}{of} in rows {twice['row'][0]} and {twice['row'][1]}; one row is "
            "expected: leave out the other"
        )


def _refuse_contradictions(
    given: Values, before: Values, names: tuple[str, ...], calendar: Calendar, *, told: tuple[Path, Path]
) -> None:
    """Refuse values of history that the file of inputs, the first of `told`, has otherwise than the file of the series."""
    for (key, period), row in before.items():
        other = given.get((key, period)) or given.get((EVERY_SERIES, period)) or row
        for name, one, two in zip(names, other, row, strict=True):
            if one is not None and two is not None and not isclose(one, two):
                of = f' of series "{key}"' if key else ""
                raise InputError(
                    f"{name}{of} on {calendar.day(period)} is {one:g} in {told[0]} and {two:g} in {told[1]}; mend the one that "
                    "is wrong, or leave it out of one file"
                )


def _laid_out(values: Values, names: tuple[str, ...], panel: Panel, horizon: int, longer: Calendar | None) -> Inputs:
    """Lay values out by series and period, each value of a longer period in all of its periods."""
    first = int((panel.ends - panel.lengths + 1).min())
    periods = np.arange(first, int(panel.ends.max()) + horizon + 1)
    numbers = periods if longer is None else _numbers(periods, panel.calendar, longer)
    missing = (None,) * len(names)
    rows, blocks = [], []
    for index, name in enumerate(panel.ids):
        begin = int(panel.ends[index] - panel.lengths[index] + 1) - first
        blocks.append(numbers[begin : begin + int(panel.lengths[index]) + horizon])
        found = [values.get((name, n)) or values.get((EVERY_SERIES, n)) or missing for n in blocks[-1].tolist()]
        rows.append(np.array(found, dtype=np.float64))
    return Inputs(
        names=names,
        past=tuple(row[:-horizon] for row in rows),
        future=np.stack([row[-horizon:] for row in rows]),
        blocks=tuple(blocks),
    )


def _numbers(periods: Ints, own: Calendar, longer: Calendar) -> Ints:
    """Number the longer periods that hold the first day of each period."""
    days = np.array([own.span(int(period))[0] for period in periods], dtype="datetime64[D]")
    reach = longer.ordinals(days[[0, -1]])
    candidates = np.arange(int(reach[0]) - 2, int(reach[1]) + 3)
    starts = np.array([longer.span(int(number))[0] for number in candidates], dtype="datetime64[D]")
    found: Ints = candidates[np.searchsorted(starts, days, side="right") - 1]
    return found


def _refuse_gaps(inputs: Inputs, path: Path, panel: Panel) -> None:
    """Refuse values that are missing, but for those before the first and after the last of what is never zero."""
    known = np.concatenate([*inputs.past, *inputs.future])
    ends_may_lack = np.nanmin(known, axis=0, initial=1.0) > 0
    for index, (past, future) in enumerate(zip(inputs.past, inputs.future, strict=True)):
        missing = ~np.isfinite(np.concatenate([past, future]))
        outside = np.logical_and.accumulate(missing) | np.logical_and.accumulate(missing[::-1])[::-1]
        places, columns = np.nonzero(missing & ~(outside & ends_may_lack))
        if len(places):
            day = panel.calendar.day(int(panel.ends[index]) - len(past) + 1 + int(places[0]))
            raise InputError(
                f'{path} lacks {inputs.names[columns[0]]} of series "{panel.ids[index]}" for {day}; inputs are needed for '
                "every period of history, here or in the file of the series, and for every period ahead; what is never "
                "zero may begin later and end earlier"
            )
    for index, name in enumerate(inputs.names):
        if np.isnan(inputs.future[:, :, index]).all():
            raise InputError(
                f"{path} has no {name} of a period after {panel.calendar.day(int(panel.ends.max()))}; give what is known "
                "ahead, or leave the column out"
            )
