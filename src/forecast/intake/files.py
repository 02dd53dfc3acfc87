"""Files as people have them: find them, tell how they are written, and read them in chunks of text."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

from forecast.encodings import copy_as_utf8, find_encoding
from forecast.errors import FileError
from forecast.intake import archives, workbooks
from forecast.intake.archives import Part
from forecast.intake.chunks import Chunk
from forecast.intake.csvtext import read_csv_chunks, read_records
from forecast.intake.layout import Headings, find_headings, find_separator
from forecast.intake.sqldumps import unpack_dump

_HEAD_BYTES = 65_536
_HEAD_ROWS = 100
_UTF8_MARK = b"\xef\xbb\xbf"
_FOLDER_ENDINGS = (
    ".csv",
    ".tsv",
    ".csv.gz",
    ".tsv.gz",
    ".xlsx",
    ".xlsm",
    ".xlsb",
    ".xls",
    ".ods",
    ".parquet",
    ".zip",
    ".sql",
    ".sql.gz",
)


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table in a file, and how it is written.

    Attributes:
        path: the file as it was given.
        part: which of its sheets or tables, or the name in a zip archive; empty where the file is the table.
        content: where its bytes lie, unpacked and, of text, in UTF-8.
        form: how they are read.
        separator: between cells of CSV; `sheet` of a workbook.
        headings: of the columns, each different and none empty.
        heading_row: in which row they are, 0 where the file has none; what is above is not read.
        unnamed: the headings among them that the file left empty.
        warnings: sentences on what was decided or mended.
        sha256: of the file, or of the member of an archive.
    """

    path: Path
    part: str
    content: Path
    form: Literal["csv", "excel", "parquet"]
    separator: str = ""
    sheet: str = ""
    headings: tuple[str, ...]
    heading_row: int
    unnamed: frozenset[str]
    warnings: tuple[str, ...]
    sha256: str

    @property
    def name(self) -> str:
        """Name the table in a mapping of several."""
        return f"{self.path.name}: {self.part}" if self.part else self.path.name

    @property
    def title(self) -> str:
        """Name the table in messages and on reports."""
        return f"{self.path}: {self.part}" if self.part else str(self.path)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """List the files that paths name; a folder gives the tables in it by name, without rejects files.

    Raises:
        FileError: a path is not there, or a folder holds no table.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in sorted(path.iterdir()) if file.name.lower().endswith(_FOLDER_ENDINGS)]
        # Excel's own mark of an open file is no workbook.
        inside = [file for file in inside if not file.name.endswith(".rejects.csv") and file.name[:2] != "~$"]
        if not inside:
            raise FileError(
                f"no .csv, .xlsx, .parquet, .sql or .zip file lies in {path}; name the files or another folder"
            )
        found += inside
    return found


def open_tables(path: Path, folder: Path, *, encoding: str | None = None) -> list[TableFile]:
    """Look at a file: the tables in it, and how each is written.

    Args:
        path: CSV, Excel or Parquet, as it is or packed by gzip or zip.
        folder: for what has to be unpacked; it has to last as long as the tables are read.
        encoding: of CSV text, where it is not to be recognised.

    Raises:
        FileError: the file is not there, is empty, or is none of these.
    """
    if not path.is_file():
        raise FileError(f"there is no file {path}; check its name and folder")
    try:
        parts = archives.unpack(path, folder)
        tables = [table for part in parts for table in _open_part(part, folder, encoding)]
    except OSError as error:
        raise FileError(f"{path} can't be read: {error}; check its permissions") from error
    if not tables:
        raise FileError(f"{path} is empty; expected a line of headings and a line a record")
    return tables


def _open_part(part: Part, folder: Path, encoding: str | None) -> list[TableFile]:
    with part.path.open("rb") as file:
        head = file.read(8)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return _open_workbook(part)
    if head.startswith(b"PAR1"):
        return [_open_parquet(part)]
    if head.startswith(b"%PDF"):
        raise FileError(f"{part.given} is a PDF file, not a table; export it as CSV UTF-8")
    content, said = _as_utf8(part, folder, encoding)
    if content.suffix == ".sql":
        dumped = sorted(unpack_dump(content, folder).items())
        tables = [_open_text(part, path, said=said, shown=_inside(part.name, name)) for name, path in dumped]
    else:
        tables = [_open_text(part, content, said=said, shown=part.name)]
    return [table for table in tables if table]


def _inside(*names: str) -> str:
    return " / ".join(name for name in names if name)


def _open_workbook(part: Part) -> list[TableFile]:
    names = workbooks.sheet_names(part.path)
    tables = []
    for name in names:
        headings = find_headings(workbooks.read_sheet(part.path, name).head(_HEAD_ROWS).rows())
        if headings is not None:
            shown = _inside(part.name, name if len(names) > 1 else "")
            tables.append(_table(part, headings, form="excel", shown=shown, sheet=name))
    return tables


def _open_parquet(part: Part) -> TableFile:
    headings = find_headings([workbooks.parquet_headings(part.path)])
    if headings is None:
        raise FileError(f"{part.given} has no columns; expected a column a field")
    return _table(part, headings, form="parquet", shown=part.name)


def _as_utf8(part: Part, folder: Path, encoding: str | None) -> tuple[Path, tuple[str, ...]]:
    """Give where the text lies in UTF-8, and sentences on what it was."""
    found = encoding or find_encoding(part.path)
    if found in {"utf-8", "utf-8-sig"} and not encoding:
        return part.path, ()
    content = folder / f"text{len(list(folder.iterdir()))}{part.path.suffix.lower()}"
    copy_as_utf8(part.path, found, content)
    return content, () if encoding or found.startswith("utf-8") else (_encoding_warning(found),)


def _open_text(part: Part, content: Path, *, said: tuple[str, ...], shown: str) -> TableFile | None:
    with content.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        separator, is_declared = find_separator(head.removeprefix(_UTF8_MARK).decode(errors="ignore"))
        _skip_mark(file)
        rows = list(islice(read_records(file, separator, block_bytes=_HEAD_BYTES), _HEAD_ROWS))
    headings = find_headings(rows, is_declared=is_declared)
    if headings is None:
        return None
    return _table(part, headings, form="csv", shown=shown, content=content, separator=separator, said=said)


def _encoding_warning(encoding: str) -> str:
    return f"the text is taken to be {encoding}; if letters look wrong, set encoding in a mapping"


def _skip_mark(file: BinaryIO) -> None:
    file.seek(0)
    if file.read(len(_UTF8_MARK)) != _UTF8_MARK:
        file.seek(0)


def _table(
    part: Part,
    headings: Headings,
    *,
    form: Literal["csv", "excel", "parquet"],
    shown: str,
    content: Path | None = None,
    separator: str = "",
    sheet: str = "",
    said: tuple[str, ...] = (),
) -> TableFile:
    with part.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return TableFile(
        path=part.given,
        part=shown,
        content=content or part.path,
        form=form,
        separator=separator,
        sheet=sheet,
        headings=headings.names,
        heading_row=headings.row,
        unnamed=headings.unnamed,
        warnings=(*said, *headings.warnings),
        sha256=digest,
    )


def read_chunks(table: TableFile) -> Iterator[Chunk]:
    """Read the records of a table; rows whose cells are all empty are left out.

    Raises:
        FileError: the file stops being readable on the way.
    """
    if table.form == "excel":
        yield from workbooks.sheet_chunks(
            table.content, table.sheet, headings=table.headings, skipped=table.heading_row
        )
    elif table.form == "parquet":
        yield from workbooks.parquet_chunks(table.content, headings=table.headings)
    else:
        with table.content.open("rb") as file:
            _skip_mark(file)
            yield from read_csv_chunks(file, table.separator, headings=table.headings, skipped=table.heading_row)
