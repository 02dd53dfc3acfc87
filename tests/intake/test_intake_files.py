import gzip
import itertools

import pytest

from forecast.errors import FileError
from forecast.intake.files import find_files, open_tables, read_chunks


def rows(file):
    """Read all cells of a table."""
    return [row[1:] for chunk in read_chunks(file) for row in chunk.frame.rows()]


@pytest.fixture
def open_one(tmp_path_factory):
    """Open a file that is one table."""

    def opened(path, **options):
        (table,) = open_tables(path, tmp_path_factory.mktemp("unpacked"), **options)
        return table

    return opened


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_are_told_from_the_file(open_one, write, separator, encoding):
    """Commas, semicolons and tabs, with and without a mark of the encoding; quoted line breaks stay in their cell."""
    text = f'id{separator}说明\r\n1{separator}"a, b; c\nd"\r\n2{separator}ü\r\n'
    file = open_one(write(text, encoding=encoding))
    assert file.headings == ("id", "说明")
    assert rows(file) == [("1", "a, b; c\nd"), ("2", "ü")]


def test_a_packed_file_is_unpacked(open_one, tmp_path):
    """A .gz is read as what it holds."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert rows(open_one(path)) == [("1", "2")]


def test_rows_are_numbered_as_in_a_spreadsheet(open_one, write):
    """The heading is row 1; rows without any text are left out but counted on."""
    file = open_one(write("a,b\n1,2\n,\n\n3,4\n5\n"))
    chunks = list(read_chunks(file))
    assert chunks[0].frame["\x00row"].to_list() == [2, 5]
    assert chunks[0].ragged == {6: ["5"]}
    assert chunks[0].read == 3


def test_headings_are_made_distinct(open_one, write):
    """The second of a name gets a number and a warning, an empty one the name of its place."""
    file = open_one(write("a,a,,a\n1,2,3,4\n"))
    assert file.headings == ("a", "a (2)", "column_3", "a (3)")
    assert file.unnamed == {"column_3"}
    assert len(file.warnings) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"PK\x03\x04rest", "not a whole zip"),
        (b"\xd0\xcf\x11\xe0rest", "Excel"),
        (b"PAR1rest", "Parquet"),
        (b"%PDF-1.7", "PDF"),
        (b"a,b\x00\x00\x00\x00", "is not text"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_do(open_one, tmp_path, content, message):
    """The message names the file and the way out."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message):
        list(read_chunks(open_one(path)))


def test_a_broken_archive_is_refused(open_one, tmp_path):
    """A .gz that is cut short says so."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:200])
    with pytest.raises(FileError, match="gzip"):
        list(read_chunks(open_one(path)))


def test_a_file_that_is_not_there_is_named(open_one, tmp_path):
    """The path is in the message."""
    with pytest.raises(FileError, match=r"none\.csv"):
        open_one(tmp_path / "none.csv")


def test_a_folder_gives_its_csv_files_by_name(tmp_path):
    """Rejects files are left out; a folder without CSV files is refused."""
    for name in ("b.csv", "a.csv.gz", "a.1234abcd.rejects.csv", "notes.md"):
        (tmp_path / name).touch()
    assert [path.name for path in find_files([tmp_path])] == ["a.csv.gz", "b.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"no \.csv"):
        find_files([tmp_path / "empty"])


QUOTED = ['"{b}x",y', 'x,"y{b}"', 'x,"y{b}z"']
BARE = ["{b}x,y", "x{b},y", "x,{b}y", "x,y{b}"]
BLANKS = [" ", "\t", "\v", "\f", "\x85", "\xa0", "\u2003", "\u3000"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("blank", "cells"),
    [*itertools.product(BLANKS, QUOTED + BARE), *itertools.product("\r\n", QUOTED)],
)
def test_cells_are_stripped_of_all_white_space(open_one, write, blank, end, cells):
    """Blanks of any kind at the edge of a cell go, wherever the cell stands; those within it stay."""
    line = cells.format(b=blank)
    file = open_one(write(f"a,b{end}m,n{end}{line}{end}"))
    (found,) = [chunk.texts.rows()[-1][1:] for chunk in read_chunks(file)]
    assert found == ("x", f"y{blank}z" if "z" in cells else "y")


def test_cells_of_nothing_but_blanks_are_empty(open_one, write):
    """What is left of blanks is no text."""
    (chunk,) = read_chunks(open_one(write('a,b\n1, \n2,"  "\n3,""\n4,x\n')))
    assert chunk.texts["b"].to_list() == [None, None, None, "x"]
