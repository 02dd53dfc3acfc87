"""Rows of a file as text, some at a time, kept on disk while a file is read more than once."""

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

ROW = "\x00row"  # column of row numbers in a chunk; no heading can be called so


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, as text.

    `frame` has a column a heading and `ROW`, the row's number as a spreadsheet counts (the first line is row 1). `ragged`
    are the rows with a wrong number of cells or a quotation mark that is never closed, by number.
    """

    frame: pl.DataFrame
    ragged: dict[int, list[str]]

    @property
    def read(self) -> int:
        """Count the rows."""
        return len(self.frame) + len(self.ragged)


def make_chunk(cells: pl.DataFrame, numbers: pl.Series, ragged: dict[int, list[str]]) -> Chunk:
    """Make a chunk of text columns and the numbers of their rows; rows whose cells are all empty are left out."""
    frame = cells.insert_column(0, numbers.alias(ROW))
    if cells.width > 1 and (cells[:, 1].str.strip_chars() == "").any():
        blank = pl.all_horizontal(pl.exclude(ROW).str.strip_chars() == "")
        frame = frame.filter(~blank)
    return Chunk(frame, {number: row for number, row in ragged.items() if any(map(str.strip, row))})


@dataclass
class Spool:
    """Chunks that are parsed when they are first read, and kept in a folder for the other times.

    Attributes:
        source: gives the chunks.
        folder: an empty one, of the spool's own.
    """

    source: Iterable[Chunk]
    folder: Path
    _is_filled: bool = field(default=False, repr=False)

    def __iter__(self) -> Iterator[Chunk]:
        """Give the chunks, in their order."""
        return self._stored() if self._is_filled else self._filling()

    def _filling(self) -> Iterator[Chunk]:
        for place, chunk in enumerate(self.source):
            chunk.frame.write_ipc(self.folder / f"{place:06d}.arrow")
            if chunk.ragged:
                (self.folder / f"{place:06d}.json").write_text(json.dumps(chunk.ragged), "utf-8")
            yield chunk
        self._is_filled = True

    def _stored(self) -> Iterator[Chunk]:
        for path in sorted(self.folder.glob("*.arrow")):
            beside = path.with_suffix(".json")
            ragged = json.loads(beside.read_text("utf-8")) if beside.exists() else {}
            # Mapped files would count as this process's memory.
            frame = pl.read_ipc(io.BytesIO(path.read_bytes()))
            yield Chunk(frame, {int(number): cells for number, cells in ragged.items()})
