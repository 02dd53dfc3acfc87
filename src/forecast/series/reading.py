"""Read series from a file, and say what is wrong with it."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from forecast.errors import InputError
from forecast.series.calendar import Calendar, infer_calendar
from forecast.series.hierarchy import EVERY
from forecast.series.panel import Floats, Panel
from forecast.series.tables import named, read_table, refuse_first, typed_day, typed_number

# Up to this share of missing periods is read as missing and filled in; more is read as periods without revenue.
GAP_SHARE_MAX = 0.1
LONE = "series"


@dataclass(frozen=True, kw_only=True)
class SeriesFile:
    """What a file of series holds.

    Attributes:
        panel: the series themselves.
        series: `unique_id` and the level columns, one row a series, in the panel's order.
        totals: `unique_id, level` and the level columns of totals that the file holds; None where it holds none.
        partial: day and values, by series, of a last period that isn't over; None where all periods are.
        remarks: what was read otherwise than it stands, in sentences.
    """

    panel: Panel
    series: pl.DataFrame
    totals: pl.DataFrame | None
    partial: tuple[date, dict[str, float]] | None
    remarks: tuple[str, ...]


def read_series(
    path: Path, *, levels: list[str], season: int | None, today: date, as_of: date | None = None
) -> SeriesFile:
    """Read a long file `ds, y`, with `unique_id` where it holds several series, and the level columns.

    Args:
        levels: columns that the series add up by; a row with `*` in one is a total of the file's own.
        today: a period that holds this day is partial, and is not read as history.
        as_of: a day that is looked back from; periods that begin after it are left out.

    Raises:
        FileError: there is no such file, or it is neither CSV nor Parquet.
        InputError: a column or value is not what it must be, or every period begins after `as_of`.
    """
    return series_of(read_table(path), source=path, levels=levels, season=season, today=today, as_of=as_of)


def series_of(
    table: pl.DataFrame,
    *,
    source: Path,
    levels: list[str],
    season: int | None,
    today: date,
    as_of: date | None = None,
) -> SeriesFile:
    """Read series from a long frame, as from a file; `source` is what errors call it."""
    path = source
    rows = _typed(table, path, levels)
    totals, rows = _apart(rows, levels)
    _check_rows(rows, path, levels)
    gaps = rows.select(pl.col("ds").diff().over("unique_id").dt.total_days().drop_nulls())["ds"].to_numpy()
    calendar = infer_calendar(rows["ds"].to_numpy(), gaps)
    ordinals = rows.with_columns(period=pl.Series(calendar.ordinals(rows["ds"].to_numpy())))
    _check_periods(ordinals, path, calendar)
    known, left_out = _known_on(ordinals, path, calendar, as_of)
    whole, partial = _without_partial(known, calendar, today)
    panel, remarks = _panel(whole, calendar, season or calendar.season, align=bool(levels))
    series = rows.group_by("unique_id", maintain_order=True).agg(pl.col(levels).last())
    series = pl.DataFrame({"unique_id": panel.ids}).join(series, on="unique_id", how="left", maintain_order="left")
    return SeriesFile(panel=panel, series=series, totals=totals, partial=partial, remarks=(*left_out, *remarks))


def _typed(frame: pl.DataFrame, path: Path, levels: list[str]) -> pl.DataFrame:
    twice = sorted({name for name in levels if levels.count(name) > 1} | {"unique_id", "ds", "y"}.intersection(levels))
    if twice:
        raise InputError(
            f'"{twice[0]}" was given as a level more than once, or is no level; name each level column once'
        )
    frame = named(frame, path, levels)
    if "unique_id" not in frame.columns:
        if levels:
            raise InputError(f"{path} has no column unique_id; with --levels each series needs one")
        _refuse_several(frame, path)
        frame = frame.with_columns(unique_id=pl.lit(LONE))
    if frame.is_empty():
        raise InputError(f"{path} has no rows; at least one series with two periods is needed")
    frame = typed_number(typed_day(frame.with_row_index("row", offset=2), path), path, "y")
    names = [pl.col(name).cast(pl.String) for name in ("unique_id", *levels)]
    label = [pl.col("level").cast(pl.String)] if "level" in frame.columns and "level" not in levels else []
    return frame.select("row", "ds", "y", *names, *label).sort("unique_id", "ds")


def _refuse_several(frame: pl.DataFrame, path: Path) -> None:
    """Refuse several rows for a day where a column may name the series that they are of."""
    others = [name for name in frame.columns if name not in {"ds", "y"}]
    twice = frame.filter(pl.col("ds").is_duplicated())
    if others and twice.height:
        raise InputError(
            f"{path} has several rows for {twice['ds'][0]} and no column unique_id; if {' or '.join(others[:5])} names the "
            "series, call that column unique_id, else add the rows up"
        )


def _apart(rows: pl.DataFrame, levels: list[str]) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    """Tell totals of the file's own from series."""
    if not levels:
        return None, rows
    total = pl.any_horizontal(pl.col(levels) == EVERY)
    found = rows.filter(total)
    if found.is_empty():
        return None, rows
    label = (
        pl.col("level")
        if "level" in rows.columns
        else pl.concat_str([pl.when(pl.col(c) == EVERY).then(pl.lit("")).otherwise(pl.lit(c + "_")) for c in levels])
        .str.strip_suffix("_")
        .replace("", "total")
        .alias("level")
    )
    return found.unique("unique_id", maintain_order=True).select("unique_id", label, *levels), rows.filter(~total)


def _check_rows(rows: pl.DataFrame, path: Path, levels: list[str]) -> None:
    if rows.is_empty():
        raise InputError(f"{path} holds totals only: each row has * in a level column; give the series below them")
    for column in ("unique_id", *levels):
        refuse_first(rows, pl.col(column).is_null(), path, column, "is empty; every row needs a value")
    moved = (
        rows.group_by("unique_id").agg(pl.col(levels).n_unique()).filter(pl.any_horizontal(pl.col(levels) > 1))
        if levels
        else None
    )
    if moved is not None and moved.height:
        raise InputError(
            f'{path}: series "{moved["unique_id"][0]}" has several values in a level column; '
            "a series belongs to one group: give each of its parts a unique_id"
        )


def _check_periods(rows: pl.DataFrame, path: Path, calendar: Calendar) -> None:
    # Rows are in order, so that equal ones are neighbours.
    again = (pl.col("period").diff() == 0).over("unique_id").fill_null(value=False)
    twice = rows.filter(again | again.shift(-1, fill_value=False))
    if twice.height:
        first = twice.row(0, named=True)
        count = twice.filter(pl.col("unique_id") == first["unique_id"], pl.col("period") == first["period"]).height
        raise InputError(
            f'{path}: series "{first["unique_id"]}" has {count} rows for the {calendar.name} period of {first["ds"]}; '
            "one is expected: add them up or leave copies out"
        )


def _known_on(
    rows: pl.DataFrame, path: Path, calendar: Calendar, day: date | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Leave out periods that begin after a day, as nothing was known of them then; says how many rows had a value."""
    if day is None:
        return rows, ()
    periods = rows["period"].unique().sort().to_list()
    begun = [period for period in periods if calendar.span(period)[0] <= day]
    if not begun:
        raise InputError(
            f"{path} begins with the period of {calendar.day(periods[0])}, and nothing of it is known on {day}; "
            "give a later --as-of, or none"
        )
    known, later = rows.filter(pl.col("period") <= begun[-1]), rows.filter(pl.col("period") > begun[-1])
    count = later["y"].count()
    remark = f"rows of periods that begin after {day} were not yet known and are left out: {count}"
    return known, (remark,) if count else ()


def _without_partial(
    rows: pl.DataFrame, calendar: Calendar, today: date
) -> tuple[pl.DataFrame, tuple[date, dict[str, float]] | None]:
    last = int(rows["period"].max())  # type: ignore[arg-type]
    if not calendar.holds(last, today) or rows["period"].n_unique() == 1:
        return rows, None
    held = rows.filter(pl.col("period") == last)
    sums = {name: value for name, value in held.select("unique_id", "y").iter_rows() if value is not None}
    return rows.filter(pl.col("period") < last), (calendar.day(last), sums)


def _panel(rows: pl.DataFrame, calendar: Calendar, season: int, *, align: bool) -> tuple[Panel, tuple[str, ...]]:
    known = rows.drop_nulls("y")
    if known.is_empty():
        raise InputError("column y is empty in every row; at least one series with two periods is needed")
    ids, values, ends, remarks = [], [], [], []
    for (name,), part in known.group_by("unique_id", maintain_order=True):
        periods = part["period"].to_numpy()
        filled, gaps = _without_gaps(periods, part["y"].to_numpy())
        ids.append(str(name))
        values.append(filled)
        ends.append(int(periods[-1]))
        remarks += [_gap_remark(str(name), gaps, len(filled))] if gaps else []
    panel = Panel(ids=tuple(ids), history=tuple(values), ends=np.array(ends), calendar=calendar, season=season)
    notes = (*_few(remarks), *_ended_early(panel, align=align))
    return _aligned(panel) if align else panel, notes


def _aligned(panel: Panel) -> Panel:
    """Let series that ended before the others be zero since."""
    missing = panel.ends.max() - panel.ends
    history = tuple(np.pad(values, (0, int(more))) for values, more in zip(panel.history, missing, strict=True))
    return replace(panel, history=history, ends=panel.ends + missing)


def _without_gaps(periods: np.ndarray, values: Floats) -> tuple[Floats, int]:
    """Fill missing periods: few by a straight line between neighbours, many by zero."""
    every = np.arange(periods[0], periods[-1] + 1)
    gaps = len(every) - len(periods)
    if gaps <= GAP_SHARE_MAX * len(every):
        return np.interp(every, periods, values), gaps
    filled = np.zeros(len(every))
    filled[periods - periods[0]] = values
    return filled, gaps


def _gap_remark(name: str, gaps: int, count: int) -> str:
    how = "a line between their neighbours" if gaps <= GAP_SHARE_MAX * count else "zero"
    return f'series "{name}": {gaps} of {count} periods have no row and were filled by {how}'


def _few(remarks: list[str], most: int = 5) -> list[str]:
    return remarks if len(remarks) <= most else [*remarks[:most], f"… and {len(remarks) - most} more series with gaps"]


def _ended_early(panel: Panel, *, align: bool) -> list[str]:
    early = np.flatnonzero(panel.ends < panel.ends.max())
    if not len(early):
        return []
    first = f'{len(early)} of {len(panel.ids)} series, "{panel.ids[early[0]]}" first, end before the others'
    return [f"{first}: " + ("they count as zero since" if align else "each is forecast from its own end")]
