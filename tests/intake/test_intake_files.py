import gzip

import pytest

from forecast.errors import FileError
from forecast.intake.files import find_files, open_csv, read_chunks


def rows(file, size=2):
    """Read all cells of a file in small chunks."""
    return [row[1:] for chunk in read_chunks(file, size) for row in chunk.frame.rows()]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_are_told_from_the_file(write, separator, encoding):
    """Commas, semicolons and tabs, with and without a mark of the encoding; quoted line breaks stay in their cell."""
    text = f'id{separator}说明\r\n1{separator}"a, b; c\nd"\r\n2{separator}ü\r\n'
    file = open_csv(write(text, encoding=encoding))
    assert file.headings == ("id", "说明")
    assert rows(file) == [("1", "a, b; c\nd"), ("2", "ü")]


def test_a_packed_file_is_unpacked(tmp_path):
    """A .gz is read as what it holds."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert rows(open_csv(path)) == [("1", "2")]


def test_rows_are_numbered_as_in_a_spreadsheet(write):
    """The heading is row 1; rows without any text are left out but counted on."""
    file = open_csv(write("a,b\n1,2\n,\n\n3,4\n5\n"))
    chunks = list(read_chunks(file))
    assert chunks[0].frame["\x00row"].to_list() == [2, 5]
    assert chunks[0].ragged == {6: ["5"]}
    assert chunks[0].read == 3


def test_headings_are_made_distinct(write):
    """The second of a name gets a number and a warning, an empty one the name of its place."""
    file = open_csv(write("a,a,,a\n1,2,3,4\n"))
    assert file.headings == ("a", "a (2)", "column_3", "a (3)")
    assert file.unnamed == {"column_3"}
    assert len(file.warnings) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"PK\x03\x04rest", "Excel"),
        (b"PAR1rest", "Parquet"),
        (b"a,b\x00\x00\x00\x00", "is not text"),
        ("客户,金额\n张三,5\n".encode("gbk"), "UTF-8"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_do(tmp_path, content, message):
    """The message names the file and the way out."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message):
        list(read_chunks(open_csv(path)))


def test_a_broken_archive_is_refused(tmp_path):
    """A .gz that is cut short says so."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:200])
    with pytest.raises(FileError, match="gzip"):
        list(read_chunks(open_csv(path)))


def test_a_file_that_is_not_there_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(FileError, match=r"none\.csv"):
        open_csv(tmp_path / "none.csv")


def test_a_folder_gives_its_csv_files_by_name(tmp_path):
    """Rejects files are left out; a folder without CSV files is refused."""
    for name in ("b.csv", "a.csv.gz", "a.1234abcd.rejects.csv", "notes.md"):
        (tmp_path / name).touch()
    assert [path.name for path in find_files([tmp_path])] == ["a.csv.gz", "b.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"no \.csv"):
        find_files([tmp_path / "empty"])
