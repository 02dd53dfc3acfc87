"""Write an outlook to a file."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from forecast.errors import FileError
from forecast.series.hierarchy import BOTTOM, Hierarchy
from forecast.series.longer_periods import Rows, longer_periods, own_periods
from forecast.series.outlook import Outlook
from forecast.series.ranges import LEVELS

BOUNDS = [f"{side}-{level}" for level in LEVELS for side in ("lo", "hi")]


def outlook_frame(outlook: Outlook, hierarchy: Hierarchy | None) -> pl.DataFrame:
    """Give `unique_id, ds, level`, the level columns, `mean` and the bounds; one row a node and period, in order."""
    return _framed(own_periods(outlook), outlook, hierarchy)


def longer_frames(
    outlook: Outlook, hierarchy: Hierarchy | None, units: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Give rows as `outlook_frame` and `draws_frame` do, with `period` besides, of the outlook's and of longer periods.

    Raises:
        InputError: the outlook's periods make up no such unit, or it holds no whole one.
    """
    every = [("own", own_periods(outlook)), *((unit, longer_periods(outlook, unit)) for unit in units)]
    frames = [_framed(rows, outlook, hierarchy).insert_column(2, pl.lit(unit).alias("period")) for unit, rows in every]
    name = outlook.panel.calendar.unit if outlook.panel.calendar.step == 1 else outlook.panel.calendar.name
    frames[0] = frames[0].with_columns(period=pl.lit(name))
    draws = [
        _drawn(rows, frame).insert_column(2, frame["period"])
        for (_, rows), frame in zip(every, frames, strict=True)
        if rows.draws is not None
    ]
    return pl.concat(frames), pl.concat(draws) if draws else None


def draws_frame(outlook: Outlook, frame: pl.DataFrame) -> pl.DataFrame:
    """Give `unique_id, ds, draws`: the same place in every list is the same future, in which parts equal wholes."""
    return _drawn(own_periods(outlook), frame)


def _drawn(rows: Rows, frame: pl.DataFrame) -> pl.DataFrame:
    values = rows.draws
    assert values is not None, "ask for draws with draws_count"  # noqa: S101
    return frame.select("unique_id", "ds").with_columns(
        draws=pl.Series(values, dtype=pl.Array(pl.Float64, values.shape[1]))
    )


def _framed(rows: Rows, outlook: Outlook, hierarchy: Hierarchy | None) -> pl.DataFrame:
    nodes = (
        pl.DataFrame({"unique_id": outlook.panel.ids, "level": [BOTTOM] * len(outlook.panel.ids)})
        if hierarchy is None
        else hierarchy.nodes
    ).with_row_index("node")
    frame = pl.DataFrame({"node": rows.nodes, "ds": rows.days})
    joined = frame.join(nodes.cast({"node": pl.Int64}), on="node", how="left", maintain_order="left")
    labels = [name for name in nodes.columns if name not in {"node", "unique_id"}]
    columns = {"mean": rows.mean} | {name: rows.bounds[:, place] for place, name in enumerate(BOUNDS)}
    return joined.select("unique_id", "ds", *labels).with_columns(**{k: pl.Series(v) for k, v in columns.items()})


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV or Parquet, by the ending of the path; what stands there is replaced in one step.

    Raises:
        FileError: the path ends otherwise, or can't be written.
    """
    writers: dict[str, Callable[[Path], None]] = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise FileError(f"{path} ends in neither .csv nor .parquet; choose one of them")
    try:
        with TemporaryDirectory(dir=path.absolute().parent, prefix=".forecast-outlook-") as folder:
            draft = Path(folder) / path.name
            write(draft)
            draft.replace(path)
    except (OSError, pl.exceptions.ComputeError) as error:
        why = getattr(error, "strerror", None) or error
        raise FileError(
            f"{path} can't be written: {why}; give a file in a folder that is there and that you may use"
        ) from error
