"""Dumps of databases: the rows that INSERT and COPY statements of SQL text hold, as one CSV file a table."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from forecast.errors import FileError

_STATEMENT = re.compile(
    r"\s*(?P<verb>CREATE\s+TABLE(?:\s+IF\s+NOT\s+EXISTS)?|INSERT\s+(?:IGNORE\s+)?INTO|COPY)\s+(?P<table>[\w.\"`\[\]]+)\s*(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NAME_IN_BACKTICKS = re.compile(r"\b(?:TABLE|INTO|EXISTS)\s+`", re.IGNORECASE)
_COLUMNS = re.compile(r"\(([^()']*)\)\s*(?:OVERRIDING\s+\w+\s+VALUE\s*)?(?=VALUES|FROM)", re.IGNORECASE)
_NO_COLUMN = frozenset({"primary", "key", "constraint", "unique", "foreign", "check", "index", "fulltext", "exclude"})
_QUOTED = r"[EeNnXxBb]?'(?:[^']|'')*'"
_QUOTED_WITH_BACKSLASHES = r"[EeNnXxBb]?'(?:[^'\\]|''|\\.)*'"
_REST = r"|[(),;]|[^'(),;]+"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b"}
_STATEMENT_BYTES_MAX = 256 << 20
_HEAD_CHARACTERS = 100_000


@dataclass
class _Tables:
    """CSV files of the tables met so far, by name, with the columns of those that a statement has named."""

    folder: Path
    columns: dict[str, list[str]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    _files: dict[str, tuple[TextIO, Any]] = field(default_factory=dict)

    def write(self, table: str, columns: list[str], cells: list[str]) -> None:
        """Add a row, in the order of its columns; a table whose columns nothing names has them numbered."""
        if table not in self._files:
            known = self.columns.get(table) or columns or [f"column_{place}" for place, _ in enumerate(cells, start=1)]
            self.columns[table] = known
            self.paths[table] = self.folder / f"dump{len(list(self.folder.iterdir()))}.csv"
            file = self.paths[table].open("w", encoding="utf-8", newline="")
            self._files[table] = (file, csv.writer(file))
            self._files[table][1].writerow(known)
        known = self.columns[table]
        if columns and columns != known:
            named = dict(zip(columns, cells, strict=False))
            cells = [named.get(name, "") for name in known]
        self._files[table][1].writerow(cells)

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._files.values():
            file.close()


def unpack_dump(path: Path, folder: Path) -> dict[str, Path]:
    """Write the rows of a dump, UTF-8 text, as CSV files into a folder; give them by table.

    Raises:
        FileError: a statement can't be read.
    """
    tables = _Tables(folder)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            # MySQL quotes names so, and its texts hold backslashes as marks; in standard SQL they are letters.
            has_backslashes = _NAME_IN_BACKTICKS.search(file.read(_HEAD_CHARACTERS)) is not None
            file.seek(0)
            lines = iter(file)
            for statement in _statements(lines, has_backslashes=has_backslashes):
                _read(statement, lines, tables, has_backslashes=has_backslashes)
    finally:
        tables.close()
    return tables.paths


def _statements(lines: Iterator[str], *, has_backslashes: bool) -> Iterator[str]:
    """Give statements, each ending in a semicolon at the end of a line that no text holds."""
    held: list[str] = []
    size, is_open = 0, False
    for line in lines:
        if not held and (line.startswith(("--", "/*", "#", "\\")) or not line.strip()):
            continue
        held.append(line)
        size += len(line)
        marks = line.replace("\\\\", "").replace("\\'", "") if has_backslashes else line
        is_open ^= marks.count("'") % 2 == 1
        if not is_open and line.rstrip().endswith(";"):
            yield "".join(held)
            held, size = [], 0
        if size > _STATEMENT_BYTES_MAX:
            raise FileError(
                f"a statement is longer than {_STATEMENT_BYTES_MAX >> 20} MiB; write fewer rows a statement"
            )
    if held:
        yield "".join(held)


def _read(statement: str, lines: Iterator[str], tables: _Tables, *, has_backslashes: bool) -> None:
    found = _STATEMENT.match(statement)
    if found is None:
        return
    verb, table = found["verb"].upper(), _bare(found["table"].rpartition(".")[2])
    if verb.startswith("CREATE"):
        tables.columns[table] = _declared_columns(found["rest"])
        return
    named = _COLUMNS.match(found["rest"])
    columns = [_bare(name) for name in named[1].split(",")] if named else []
    if verb == "COPY":
        for line in lines:
            if line.startswith("\\."):
                return
            cells = line.rstrip("\r\n").split("\t")
            tables.write(table, columns, ["" if cell == "\\N" else _unescaped(cell) for cell in cells])
        return
    values = found["rest"][named.end() if named else 0 :]
    for cells in _rows(values, table, has_backslashes=has_backslashes):
        tables.write(table, columns, cells)


def _bare(name: str) -> str:
    return name.strip().strip('"`[]')


def _declared_columns(body: str) -> list[str]:
    inside = re.sub(r"\([^()]*\)", "", body[body.find("(") + 1 : body.rfind(")")])
    names = [part.split()[0] for part in inside.split(",") if part.split()]
    return [_bare(name) for name in names if name.lower() not in _NO_COLUMN]


def _rows(values: str, table: str, *, has_backslashes: bool) -> Iterator[list[str]]:
    """Give the rows of a VALUES list; what stands in an inner bracket belongs to its cell."""
    words = re.compile((_QUOTED_WITH_BACKSLASHES if has_backslashes else _QUOTED) + _REST)
    depth, cells = 0, [""]
    for word in words.findall(values):
        if word == "(":
            depth += 1
            cells = [""] if depth == 1 else [*cells[:-1], cells[-1] + word]
        elif word == ")":
            depth -= 1
            if depth:
                cells[-1] += word
            else:
                yield [_cell(cell.strip(), has_backslashes=has_backslashes) for cell in cells]
        elif depth == 1 and word == ",":
            cells.append("")
        elif depth:
            cells[-1] += word
    if depth:
        raise FileError(f"an INSERT INTO {table} is cut short; dump the table again")


def _cell(text: str, *, has_backslashes: bool) -> str:
    if text.upper() in {"NULL", "DEFAULT"}:
        return ""
    start = text.find("'")
    if start not in {0, 1} or "'" not in text[start + 1 :]:
        return text
    inside = text[start + 1 : text.rindex("'")].replace("''", "'")
    return _unescaped(inside) if has_backslashes or text[0] in "Ee" else inside


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text, flags=re.DOTALL)
