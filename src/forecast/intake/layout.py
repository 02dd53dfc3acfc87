"""How the table in a file is laid out: what separates cells, which row has the headings, and what they are called."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

_SEPARATORS = (",", ";", "\t", "|")
_DECLARED = re.compile(r'^"?sep=([^\r\n"])"?\r?\n', re.IGNORECASE)
_TITLE_ROWS_MAX = 20
_YEAR = re.compile(r"(19|20)\d\d")
_RECORDS_MIN = 2
_VALUES_MIN = 3
_VALUE = re.compile(r"[\s\d.,:/%¥$€£+-]+")


@dataclass(frozen=True, kw_only=True)
class Headings:
    """The headings of a table, each different and none empty.

    Attributes:
        row: which row they are, counted from 1; 0 where the table has none and its columns are numbered.
        names: the headings.
        unnamed: those among them that the file left empty.
        warnings: sentences on what was mended.
    """

    row: int
    names: tuple[str, ...]
    unnamed: frozenset[str]
    warnings: tuple[str, ...]


def find_separator(head: str) -> tuple[str, bool]:
    """Tell what separates cells, and whether a first line as Excel writes it (`sep=;`) says so."""
    declared = _DECLARED.match(head)
    if declared:
        return declared[1], True
    # The separator that gives most columns, among those under which most rows are equally wide. One that the headings do
    # not have is only in the cells of ragged rows, if the headings are wider under another.
    first = {separator: _widths(head, separator)[:1] for separator in _SEPARATORS}
    usual = {separator: _usual_width(_widths(head, separator)) for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda separator: usual[separator])
    widest = max(_SEPARATORS, key=lambda separator: first[separator])
    return (widest if first[best] <= [1] and first[widest] > [usual[best]] else best), False


def _widths(head: str, separator: str) -> list[int]:
    rows = list(islice(csv.reader(io.StringIO(head, newline=""), delimiter=separator), 100))
    return [len(row) for row in rows[: len(rows) - 1 or 1] if row]


def _usual_width(widths: Sequence[int]) -> int:
    usual = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
    return usual if widths.count(usual) * 2 > len(widths) else 1


def find_headings(rows: Sequence[Sequence[str]], *, is_declared: bool = False) -> Headings | None:
    """Find the row of headings among the first rows of a table; None where no row has any text.

    Rows above it are a title: mostly empty, over a full row of names. `is_declared` says that the first row only names the
    separator.
    """
    filled = [(row, cells) for row, cells in enumerate(rows, start=1) if any(map(str.strip, cells))][int(is_declared) :]
    if not filled:
        return None
    if not is_declared and _is_headless([cells for _, cells in filled]):
        return _numbered(max(len(cells) for _, cells in filled))
    full = max(map(_count_filled, [cells for _, cells in filled[: _TITLE_ROWS_MAX + 1]]))
    row, cells = filled[0]
    if _count_filled(cells) * 2 < full:
        likely = (one for one in filled[1 : _TITLE_ROWS_MAX + 1] if _count_filled(one[1]) * 2 >= full)
        later = next(likely, None)
        if later and _are_names(later[1]):
            row, cells = later
    names, unnamed, warnings = _distinct(cells)
    above = row - 1 - int(is_declared)
    if filled[0][0] != row:
        warnings = (f"the headings are taken to be in row {row}; the {above} above are left out as a title", *warnings)
    return Headings(row=row, names=names, unnamed=unnamed, warnings=warnings)


def _is_headless(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row is a record: many of its cells are values, as those below them are."""
    first, below = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    values = [place for place, cell in enumerate(first) if _is_value(cell)]
    if len(below) < _RECORDS_MIN or len(values) < _VALUES_MIN or len(values) * 5 < _count_filled(first) * 2:
        return False
    return all(_is_value(row[place]) or not row[place].strip() for row in below for place in values)


def _is_value(cell: str) -> bool:
    """Tell whether a cell can't be a heading; years and empty cells are among headings."""
    text = cell.strip()
    return bool(_VALUE.fullmatch(text)) and any(map(str.isdigit, text)) and not _YEAR.fullmatch(text)


def _numbered(width: int) -> Headings:
    names = tuple(f"column_{place}" for place in range(1, width + 1))
    warning = f"the file has no headings; its columns are called {names[0]} to {names[-1]}, in their order"
    return Headings(row=0, names=names, unnamed=frozenset(names), warnings=(warning,))


def _count_filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _are_names(cells: Sequence[str]) -> bool:
    return not any(_VALUE.fullmatch(cell) for cell in cells if cell.strip())


def _distinct(cells: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str], tuple[str, ...]]:
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
