"""Rows of a file as text, some at a time."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

ROW = "\x00row"  # column of row numbers in a chunk; no heading can be called so


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, as text.

    `frame` has a column a heading and `ROW`, the row's number as a spreadsheet counts (the first line is row 1). `ragged`
    are the rows with a wrong number of cells or a quotation mark that is never closed, by number. `is_stripped` says that no
    cell begins or ends with white space, `is_plain` that none holds a zero byte or an apostrophe; false says nothing.
    """

    frame: pl.DataFrame
    ragged: dict[int, list[str]]
    is_stripped: bool = False
    is_plain: bool = False

    @property
    def read(self) -> int:
        """Count the rows."""
        return len(self.frame) + len(self.ragged)

    @cached_property
    def texts(self) -> pl.DataFrame:
        """Give the cells stripped, and null where nothing is left."""
        stripped = self.frame if self.is_stripped else self.frame.with_columns(pl.col(pl.String).str.strip_chars())
        return stripped.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))


def make_chunk(cells: pl.DataFrame, numbers: pl.Series, ragged: dict[int, list[str]]) -> Chunk:
    """Make a chunk of text columns and the numbers of their rows; rows whose cells are all empty are left out."""
    frame = cells.insert_column(0, numbers.alias(ROW))
    if cells.width > 1 and (cells[:, 1].str.strip_chars() == "").any():
        blank = pl.all_horizontal(pl.exclude(ROW).str.strip_chars() == "")
        frame = frame.filter(~blank)
    return Chunk(frame, {number: row for number, row in ragged.items() if any(map(str.strip, row))})
