"""CSV files: find them, tell how they are written, and read them in chunks of text."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl

from forecast.errors import FileError

CHUNK_ROWS = 100_000
_BATCH_ROWS = 2_000
ROW = "\x00row"  # column of row numbers in a chunk; no heading can be called so
_HEAD_BYTES = 65_536
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel or zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF file",
}


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A CSV file and how it is written.

    Attributes:
        separator: between cells.
        encoding: Python's name of it.
        headings: of the columns, each different and none empty.
        unnamed: the headings among them that the file left empty.
        warnings: sentences on what was mended.
        sha256: of the bytes as they lie on disk.
    """

    path: Path
    separator: str
    encoding: str
    headings: tuple[str, ...]
    unnamed: frozenset[str]
    warnings: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, as text.

    `frame` has a column a heading and `ROW`, the row's number as a spreadsheet counts (the heading is row 1). `ragged` are
    the rows with a wrong number of cells, by number.
    """

    frame: pl.DataFrame
    ragged: dict[int, list[str]]

    @property
    def read(self) -> int:
        """Count the rows."""
        return len(self.frame) + len(self.ragged)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """List the CSV files that paths name; a folder gives those in it by name, without rejects files.

    Raises:
        FileError: a path is not there, or a folder holds no CSV file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in sorted(path.iterdir()) if file.name.lower().endswith((".csv", ".csv.gz"))]
        inside = [file for file in inside if not file.name.endswith(".rejects.csv")]
        if not inside:
            raise FileError(f"no .csv or .csv.gz file lies in {path}; name the files or another folder")
        found += inside
    return found


def open_csv(path: Path) -> CsvFile:
    """Look at a CSV file: its encoding, separator and headings.

    Raises:
        FileError: the file is not there, is empty, or is not CSV.
    """
    if not path.is_file():
        raise FileError(f"there is no file {path}; check its name and folder")
    head = _read_head(path)
    encoding = _encoding(path, head)
    separator = _separator(head.decode(encoding, errors="ignore"))
    with _records(path, separator, encoding) as records:
        first = next((cells for cells in records if any(cell.strip() for cell in cells)), None)
    if first is None:
        raise FileError(f"{path} is empty; expected a line of headings and a line a record")
    headings, unnamed, warnings = _distinct_headings(first)
    return CsvFile(
        path=path,
        separator=separator,
        encoding=encoding,
        headings=headings,
        unnamed=unnamed,
        warnings=warnings,
        sha256=_sha256(path),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _open_bytes(path: Path) -> Iterator[BinaryIO]:
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as unpacked:
                yield unpacked  # type: ignore[misc]  # a GzipFile reads as a BinaryIO does
        else:
            with path.open("rb") as plain:
                yield plain
    except (gzip.BadGzipFile, EOFError) as error:
        raise FileError(f"{path} is not a whole gzip file: {error}; fetch or pack it again") from error
    except OSError as error:
        raise FileError(f"{path} can't be read: {error}; check its permissions") from error


def _read_head(path: Path) -> bytes:
    with _open_bytes(path) as file:
        return file.read(_HEAD_BYTES)


def _encoding(path: Path, head: bytes) -> str:
    for signature, name in _OTHER_FORMATS.items():
        if head.startswith(signature):
            raise FileError(f"{path} is {name}, not CSV; open it and save it as CSV UTF-8")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.count(b"\x00") * 20 > len(head):
        raise FileError(f"{path} is not text; expected a CSV file in UTF-8")
    return "utf-8-sig"


def _separator(head: str) -> str:
    # The separator that gives most columns among those under which the rows are as wide as the heading.
    best, widest = ",", 1
    for separator in (",", ";", "\t"):
        rows = list(islice(csv.reader(io.StringIO(head, newline=""), delimiter=separator), 100))
        widths = [len(row) for row in rows[: len(rows) - 1 or 1] if row]
        if widths and widths[0] > widest and widths.count(widths[0]) * 2 >= len(widths):
            best, widest = separator, widths[0]
    return best


def _distinct_headings(cells: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str], tuple[str, ...]]:
    headings: list[str] = []
    unnamed: set[str] = set()
    warnings: list[str] = []
    for place, cell in enumerate(cells, start=1):
        given = cell.strip().replace("\x00", "")
        heading = name = given or f"column_{place}"
        copies = 1
        while heading in headings:
            copies += 1
            heading = f"{name} ({copies})"
        if copies > 1:
            warnings.append(f'two columns are headed "{name}"; column {place} is called "{heading}"')
        if not given:
            unnamed.add(heading)
        headings.append(heading)
    return tuple(headings), frozenset(unnamed), tuple(warnings)


@contextmanager
def _records(path: Path, separator: str, encoding: str) -> Iterator[Iterator[list[str]]]:
    with _open_bytes(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        reader = csv.reader(text, delimiter=separator)
        try:
            yield reader
        except UnicodeDecodeError as error:
            raise FileError(
                f"{path} is not UTF-8 near line {reader.line_num + 1}; save it as CSV UTF-8 (in Excel: Save As, CSV UTF-8)"
            ) from error
        except csv.Error as error:
            raise FileError(
                f"{path} can't be read near line {reader.line_num}: {error}; look for a quotation mark that is never closed"
            ) from error


def read_chunks(file: CsvFile, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Read the records of a file, at most `rows` at a time; rows whose cells are all empty are left out.

    Raises:
        FileError: the file stops being text or CSV on the way.
    """
    with _records(file.path, file.separator, file.encoding) as records:
        numbered = ((number, cells) for number, cells in enumerate(records, start=1) if any(map(str.strip, cells)))
        next(numbered)  # the headings
        while chunk := _next_chunk(numbered, file.headings, rows):
            yield chunk


def _next_chunk(numbered: Iterator[tuple[int, list[str]]], headings: Sequence[str], rows: int) -> Chunk | None:
    # Small batches become columns while they lie in the processor's cache: three times as fast as one large batch.
    frames: list[pl.DataFrame] = []
    ragged: dict[int, list[str]] = {}
    for start in range(0, rows, _BATCH_ROWS):
        batch = list(islice(numbered, min(_BATCH_ROWS, rows - start)))
        if not batch:
            break
        ragged |= {number: cells for number, cells in batch if len(cells) != len(headings)}
        frames.append(_frame([row for row in batch if len(row[1]) == len(headings)], headings))
    return Chunk(pl.concat(frames, rechunk=True), ragged) if frames else None


def _frame(batch: list[tuple[int, list[str]]], headings: Sequence[str]) -> pl.DataFrame:
    columns = list(zip(*(cells for _, cells in batch), strict=True)) or [()] * len(headings)
    return pl.DataFrame(
        [
            pl.Series(ROW, [number for number, _ in batch], dtype=pl.Int64),
            *(pl.Series(heading, cells, dtype=pl.String) for heading, cells in zip(headings, columns, strict=True)),
        ]
    )
