"""Write an outlook to a file."""

from pathlib import Path

import polars as pl

from forecast.errors import FileError
from forecast.series.hierarchy import BOTTOM, Hierarchy
from forecast.series.outlook import Outlook
from forecast.series.ranges import LEVELS

BOUNDS = [f"{side}-{level}" for level in LEVELS for side in ("lo", "hi")]


def outlook_frame(outlook: Outlook, hierarchy: Hierarchy | None = None) -> pl.DataFrame:
    """Give `unique_id, ds, level`, the level columns, `mean` and the bounds; one row a node and period, in order."""
    count, horizon = outlook.mean.shape
    panel = outlook.panel
    days = [panel.calendar.day(int(end) + step) for end in panel.ends for step in range(1, horizon + 1)]
    frame = pl.DataFrame({"node": [node for node in range(count) for _ in range(horizon)], "ds": days})
    nodes = (
        pl.DataFrame({"unique_id": panel.ids, "level": [BOTTOM] * count}) if hierarchy is None else hierarchy.nodes
    ).with_row_index("node")
    columns = {"mean": outlook.mean.ravel()} | {
        name: outlook.bounds[:, :, place].ravel() for place, name in enumerate(BOUNDS)
    }
    joined = frame.join(nodes.cast({"node": pl.Int64}), on="node", how="left", maintain_order="left")
    labels = [name for name in nodes.columns if name not in {"node", "unique_id"}]
    return joined.select("unique_id", "ds", *labels).with_columns(**{k: pl.Series(v) for k, v in columns.items()})


def draws_frame(outlook: Outlook, frame: pl.DataFrame) -> pl.DataFrame:
    """Give `unique_id, ds, draws`: the same place in every list is the same future, in which parts equal wholes."""
    draws = outlook.draws
    assert draws is not None, "ask for draws with draws_count"  # noqa: S101
    values = draws.reshape(-1, draws.shape[2])
    return frame.select("unique_id", "ds").with_columns(
        draws=pl.Series(values, dtype=pl.Array(pl.Float64, values.shape[1]))
    )


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV or Parquet, by the ending of the path.

    Raises:
        FileError: the path ends otherwise, or can't be written.
    """
    try:
        if path.suffix.lower() == ".parquet":
            frame.write_parquet(path)
        elif path.suffix.lower() == ".csv":
            frame.write_csv(path)
        else:
            raise FileError(f"{path} ends in neither .csv nor .parquet; choose one of them")
    except OSError as error:
        raise FileError(f"{path} can't be written: {error.strerror or error}; choose a folder that exists") from error
