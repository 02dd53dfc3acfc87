"""CSV text into chunks: blocks in which every quotation mark is in order at once, the others record by record."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.errors import FileError
from forecast.intake.chunks import Chunk, make_chunk

BLOCK_BYTES = 6 << 20
_RECORD_BYTES_MAX = 64 << 20
_QUOTE, _NEWLINE, _RETURN, _SPACE = b'"\n\r '
_BLANKS = (b"\t", b"\v", b"\f")
# How the other letters that are white space begin in UTF-8.
_WIDE_BLANKS = (b"\xc2\x85", b"\xc2\xa0", b"\xe1\x9a\x80", b"\xe2\x80", b"\xe2\x81\x9f", b"\xe3\x80\x80")


@dataclass(frozen=True)
class _Clean:
    """Whole records whose quotation marks are in order: where each ends, how many cells it has, and what is in none of them."""

    data: bytes
    ends: NDArray[np.int64]
    widths: NDArray[np.int32]
    is_stripped: bool
    is_plain: bool


@dataclass(frozen=True)
class _Careful:
    """Records that were read one by one; those of `broken`, by place, open a quotation mark that is never closed."""

    records: list[list[str]] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)


def read_records(file: BinaryIO, separator: str, *, block_bytes: int = BLOCK_BYTES) -> Iterator[list[str]]:
    """Read the records of CSV text in UTF-8, one at a time."""
    for piece in _pieces(file, separator, block_bytes):
        if isinstance(piece, _Careful):
            yield from piece.records
        else:
            yield from csv.reader(_lines(piece.data), delimiter=separator)


def read_csv_chunks(
    file: BinaryIO, separator: str, *, headings: Sequence[str], skipped: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[Chunk]:
    """Read CSV text in UTF-8 below its first `skipped` records.

    Raises:
        FileError: a line is longer than 64 MiB.
    """
    before = 0
    for piece in _pieces(file, separator, block_bytes):
        if isinstance(piece, _Careful):
            chunk, count = _careful_chunk(piece, headings, before, skipped), len(piece.records)
        else:
            chunk, count = _clean_chunk(piece, separator, headings, before, skipped), len(piece.ends)
        before += count
        if chunk.read:
            yield chunk


def _pieces(file: BinaryIO, separator: str, block_bytes: int) -> Iterator[_Clean | _Careful]:
    data = b""
    while True:
        # As much again as a record is still short of: else a long cell is looked through once a block.
        more = file.read(max(block_bytes, len(data)))
        data += more
        if not more and not data.endswith((b"\n", b"\r")):
            data += b"\n" if data else b""
        if not data:
            return
        clean = _clean(data, separator)
        if clean is not None:
            yield clean
            data = data[len(clean.data) :]
            continue
        careful, used = _careful(data, separator, is_last=not more)
        if careful.records:
            yield careful
        data = data[used:]


def _clean(data: bytes, separator: str) -> _Clean | None:
    """Cut off the whole records at the start, if every quotation mark in them is where RFC 4180 wants it."""
    letters = np.frombuffer(data, np.uint8)
    has_quotes = b'"' in data
    marks = (letters == ord(separator)) | (letters == _NEWLINE)
    # Of the letters only these are looked at further: one in eight, and the rest goes much faster.
    if has_quotes:
        marks |= letters == _QUOTE
    places = np.flatnonzero(marks)
    kinds = letters[places]
    inside = np.bitwise_xor.accumulate(kinds == _QUOTE) if has_quotes else np.zeros(places.size, dtype=bool)
    breaks = np.flatnonzero((kinds == _NEWLINE) & ~inside)
    if not breaks.size:
        return None
    count = int(breaks[-1]) + 1
    places, kinds, inside = places[:count], kinds[:count], inside[:count]
    letters = letters[: places[-1] + 1]
    if has_quotes and not _quotes_in_order(letters, places[kinds == _QUOTE], ord(separator)):
        return None
    if b"\r" in data and not _returns_in_order(letters, places, inside):
        return None
    separators = (kinds == ord(separator)) & ~inside
    starts = np.concatenate([[0], breaks[:-1] + 1])
    widths = np.add.reduceat(separators, starts, dtype=np.int32) + 1
    # A line break in a cell may be at its edge.
    may_be = b"\r" not in data and int(np.count_nonzero(kinds == _NEWLINE)) == breaks.size
    edges = _edges(places, kinds, inside) if has_quotes else places
    is_stripped = may_be and _are_stripped(data, letters, edges)
    is_plain = b"\0" not in data and b"'" not in data
    return _Clean(data[: letters.size], places[breaks], widths, is_stripped, is_plain)


def _quotes_in_order(letters: NDArray[np.uint8], quotes: NDArray[np.int64], separator: int) -> bool:
    opening, closing = quotes[::2], quotes[1::2]
    fits = np.zeros(256, dtype=bool)
    fits[[separator, _NEWLINE, _QUOTE]] = True
    before = fits[letters[opening[opening > 0] - 1]].all()
    fits[_RETURN] = True
    return bool(before and fits[letters[closing + 1]].all())  # a record's end follows, at the latest


def _returns_in_order(letters: NDArray[np.uint8], places: NDArray[np.int64], inside: NDArray[np.bool_]) -> bool:
    """Tell whether every return outside quotation marks is half of a line's end; of what `places` are is told by `inside`."""
    returns = np.flatnonzero(letters == _RETURN)
    alone = returns[letters[returns + 1] != _NEWLINE]
    # A letter is inside quotation marks where the mark next before it is, or opens them.
    before = np.searchsorted(places, alone) - 1
    return bool((before >= 0).all() and inside[before].all())


def _are_stripped(data: bytes, letters: NDArray[np.uint8], edges: NDArray[np.int64]) -> bool:
    """Tell whether surely no cell begins or ends with white space.

    Args:
        data: the text, of which `letters` are the first.
        letters: of whole records.
        edges: where cells begin and end, the last at the last letter.
    """
    rare = _BLANKS if data.isascii() else _BLANKS + _WIDE_BLANKS
    if data.startswith(b" ") or any(blank in data for blank in rare):
        return False
    beside = (
        letters[edges - 1],
        letters[edges[:-1] + 1],
    )  # before an edge at the very start comes the last letter, a line's end
    return not any((found == _SPACE).any() for found in beside)


def _edges(places: NDArray[np.int64], kinds: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give where cells begin and end: separators, line ends and quotation marks, but those that stand for one of a cell."""
    quotes = np.flatnonzero(kinds == _QUOTE)
    is_edge = ~inside
    is_edge[quotes] = True
    closing, opening = quotes[1:-1:2], quotes[2::2]
    doubled = places[closing] + 1 == places[opening]
    is_edge[closing[doubled]] = is_edge[opening[doubled]] = False
    return places[is_edge]


def _clean_chunk(piece: _Clean, separator: str, headings: Sequence[str], before: int, skipped: int) -> Chunk:
    numbers = np.arange(before + 1, before + 1 + len(piece.ends))
    odd = (piece.widths != len(headings)) & (numbers > skipped)
    starts = np.concatenate([[0], piece.ends[:-1] + 1])
    letters = np.frombuffer(piece.data, np.uint8)
    kept = ~odd & (numbers > skipped)
    if len(headings) == 1:
        kept &= ~np.isin(letters[starts], [_NEWLINE, _RETURN])
    ragged = {
        int(numbers[place]): _one(piece.data[starts[place] : piece.ends[place] + 1], separator)
        for place in np.flatnonzero(odd)
    }
    data = piece.data
    if not kept.all():
        lengths = piece.ends + 1 - starts
        data = letters[np.repeat(kept, lengths)].tobytes()
    chunk = make_chunk(_frame(data, separator, headings), pl.Series(numbers[kept], dtype=pl.Int64), ragged)
    return replace(chunk, is_stripped=piece.is_stripped, is_plain=piece.is_plain)


def _one(line: bytes, separator: str) -> list[str]:
    return next(csv.reader(_lines(line), delimiter=separator), [])


def _frame(data: bytes, separator: str, headings: Sequence[str]) -> pl.DataFrame:
    schema = dict.fromkeys(headings, pl.String())
    if not data:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(data, has_header=False, separator=separator, schema=schema, empty_string_is_null=False)


def _lines(data: bytes) -> list[str]:
    # Unlike str.splitlines, which also cuts at letters that a cell may hold.
    return io.StringIO(data.decode(errors="replace"), newline="").readlines()


@dataclass
class _Lines:
    """Lines that csv.reader takes, and how far it came; `is_spent` once it asked for one more than there is."""

    lines: list[str]
    place: int = 0
    is_spent: bool = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.place == len(self.lines):
            self.is_spent = True
            raise StopIteration
        self.place += 1
        return self.lines[self.place - 1]


def _careful(data: bytes, separator: str, *, is_last: bool) -> tuple[_Careful, int]:
    """Read records one by one; give them and how many bytes they took.

    A quotation mark that is never closed, or only by one further down that is no closing one, spoils its own line only.
    """
    csv.field_size_limit(_RECORD_BYTES_MAX)
    lines = _lines(data if is_last else data[: data.rfind(b"\n") + 1])
    is_full = len(data) >= _RECORD_BYTES_MAX
    if not lines and is_full:
        raise FileError(f"a line is longer than {_RECORD_BYTES_MAX >> 20} MiB; expected a line a record")
    found = _Careful()
    source = _Lines(lines)
    reader = csv.reader(source, delimiter=separator)
    while (start := source.place) < len(lines):
        cells = _next_record(reader)
        if source.is_spent and not (is_last or (is_full and not found.records)):
            source.place = start
            break
        if source.is_spent or cells is None or not _is_one_record(lines[start : source.place], separator):
            cells = lines[start].rstrip("\r\n").split(separator)
            found.broken.add(len(found.records))
            source = _Lines(lines, start + 1)
            reader = csv.reader(source, delimiter=separator)
        found.records.append(cells)
    return found, sum(len(line.encode()) for line in lines[: source.place])


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(reader)
    except (csv.Error, StopIteration):
        return None


def _is_one_record(lines: list[str], separator: str) -> bool:
    """Tell whether lines that were read as one record are: a single line always, several if each quotation mark fits."""
    if len(lines) == 1:
        return True
    try:
        return len(list(csv.reader(lines, delimiter=separator, strict=True))) == 1
    except csv.Error:
        return False


def _careful_chunk(piece: _Careful, headings: Sequence[str], before: int, skipped: int) -> Chunk:
    numbered = [
        (number, cells, place in piece.broken)
        for place, cells in enumerate(piece.records)
        if (number := before + 1 + place) > skipped
    ]
    whole = [(number, cells) for number, cells, broken in numbered if len(cells) == len(headings) and not broken]
    ragged = {number: cells for number, cells, broken in numbered if len(cells) != len(headings) or broken}
    return chunk_of(whole, headings, ragged)


def chunk_of(rows: Sequence[tuple[int, Sequence[str]]], headings: Sequence[str], ragged: dict[int, list[str]]) -> Chunk:
    """Make a chunk of numbered rows of as many cells as there are headings."""
    columns = list(zip(*(cells for _, cells in rows), strict=True)) or [()] * len(headings)
    frame = pl.DataFrame(
        [pl.Series(heading, cells, dtype=pl.String) for heading, cells in zip(headings, columns, strict=True)]
    )
    return make_chunk(frame, pl.Series([number for number, _ in rows], dtype=pl.Int64), ragged)
