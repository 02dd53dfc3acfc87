from datetime import date

import pytest

from forecast.errors import FileError, InputError
from forecast.series.reading import read_series

TODAY = date(2030, 1, 1)
MONTHS = [f"{2020 + place // 12}-{place % 12 + 1:02d}-01" for place in range(14)]


def written(folder, text, *, encoding="utf-8"):
    """Write a file of series."""
    path = folder / "series.csv"
    path.write_bytes(text.encode(encoding))
    return path


def read(path, levels=()):
    """Read it without a season of one's own."""
    return read_series(path, levels=list(levels), season=None, today=TODAY)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_spreadsheets_are_read(tmp_path, encoding):
    """Chinese text reads the same in every encoding that Excel writes, under Chinese headings."""
    text = "编号,日期,销售额,大区\n" + "".join(f"上海店,{day},5,华东\n" for day in MONTHS)
    found = read(written(tmp_path, text, encoding=encoding), ["大区"])
    assert found.panel.ids == ("上海店",)
    assert found.series["大区"].to_list() == ["华东"]


@pytest.mark.parametrize(
    ("separator", "number", "value"),
    [
        (",", '"1,234.50"', 1234.5),
        (",", '"12,345"', 12345.0),
        (";", "1.234,50", 1234.5),
        (";", "1234,5", 1234.5),
        ("\t", "¥1 234", 1234.0),
        (",", "1e3", 1000.0),
        (",", '"(1,234.50)"', -1234.5),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path, separator, number, value):
    """Separators of thousands, decimal commas and signs of currencies are understood."""
    text = f"ds{separator}y\n" + "".join(f"{day}{separator}{number}\n" for day in MONTHS)
    assert read(written(tmp_path, text)).panel.history[0].tolist() == [value] * 14


@pytest.mark.parametrize(
    "form",
    [
        *("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y-%m", "%YM%m", "%m/%Y", "%d.%m.%Y", "%m/%d/%Y"),
        *("%b %Y", "%b-%y", "%Y-%b", "%d-%b-%Y", "%B %d, %Y"),
        *("%Y年%m月", "%Y年%m月%d日", "%Y-%m-%dT00:00:00"),
    ],
)
def test_days_are_read_as_people_write_them(tmp_path, form):
    """Months by name or first day, with slashes, dots, day or month first, in English and Chinese, with midnight behind."""
    text = "ds,y\n" + "".join(f'"{date.fromisoformat(day).strftime(form)}",1\n' for day in MONTHS)
    found = read(written(tmp_path, text)).panel
    assert (found.calendar.name, found.calendar.day(0)) == ("monthly", date(2020, 1, 1))


@pytest.mark.parametrize("form", ["{}Q{}", "{}-Q{}", "Q{1} {0}", "{}年第{}季度", "{}年{}季度"])
def test_quarters_may_be_called_by_their_number(tmp_path, form):
    """2024Q1 is the quarter that begins in January."""
    numbers = "一二三四" if form == "{}年{}季度" else "1234"
    text = "ds,y\n" + "".join(f"{form.format(year, n)},1\n" for year in (2020, 2021) for n in numbers)
    calendar = read(written(tmp_path, text)).panel.calendar
    assert (calendar.name, calendar.day(0)) == ("quarterly", date(2020, 1, 1))


@pytest.mark.parametrize(
    ("form", "name", "first"),
    [
        ("{}", "yearly", date(2001, 1, 1)),
        ("{}年", "yearly", date(2001, 1, 1)),
        ("2020-W{:02}", "weekly", date(2019, 12, 30)),
        ("2020年第{}周", "weekly", date(2019, 12, 30)),
    ],
)
def test_years_and_weeks_may_be_called_by_their_number(tmp_path, form, name, first):
    """2024 is the year, and 2024-W05 the fifth week of ISO 8601, which begins on a Monday."""
    numbers = range(2001, 2013) if name == "yearly" else range(1, 21)
    calendar = read(written(tmp_path, "ds,y\n" + "".join(f"{form.format(n)},1\n" for n in numbers))).panel.calendar
    assert (calendar.name, calendar.day(0)) == (name, first)


@pytest.mark.parametrize("day", ["03/04/2024", "03/04/24", "2024-13-01", "2024Q5", "2024-W60", "FY2024", "20241"])
def test_what_may_be_another_day_or_none_is_refused(tmp_path, day):
    """A day that the column does not tell from a month, two digits of a year, and what no calendar has are refused."""
    with pytest.raises(InputError, match=f'"{day}" is not a day'):
        read(written(tmp_path, f"ds,y\n{day},1\n"))


def test_days_from_one_to_twelve_are_told_by_the_others(tmp_path):
    """One number above 12 says for the whole column which comes first."""
    text = "ds,y\n" + "".join(f"1/{day}/2024,1\n" for day in range(1, 15))
    found = read(written(tmp_path, text)).panel
    assert (found.calendar.name, found.calendar.day(13)) == ("daily", date(2024, 1, 14))


def test_the_last_working_day_is_the_end_of_its_month(tmp_path):
    """Months dated by their last working day are months, named by their last day."""
    text = "ds,y\n" + "".join(
        f"{day},1\n" for day in ("2024-01-31", "2024-02-29", "2024-03-29", "2024-04-30", "2024-05-31")
    )
    found = read(written(tmp_path, text)).panel
    assert (found.calendar.name, found.calendar.day(2)) == ("monthly", date(2024, 3, 31))


def test_headings_may_be_written_in_capitals(tmp_path):
    """DS and Y are ds and y."""
    assert (
        read(written(tmp_path, "DS,Y\n" + "".join(f"{day},1\n" for day in MONTHS))).panel.history[0].tolist()
        == [1] * 14
    )


@pytest.mark.parametrize("unknown", ["", "NA", "N/A", "null", "NaN"])
def test_words_for_nothing_known_are_empty(tmp_path, unknown):
    """What programs write where a value is unknown is filled in like an empty cell."""
    rows = [f"{day},{unknown if place == 5 else 7}\n" for place, day in enumerate(MONTHS)]
    found = read(written(tmp_path, "ds,y\n" + "".join(rows)))
    assert found.panel.history[0].tolist() == [7] * 14
    assert len(found.remarks) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unique_id," + ",".join(MONTHS) + "\na" + ",1" * 14 + "\n", "14 of its columns are periods"),
        ("ds,north,south\n2020-01-01,1,2\n", "if these are series, the file is wide"),
        ("ds,y\n2020-01-01 01:00,1\n2020-01-01 02:00,1\n", "add up the rows of each day"),
        (
            "ds,y\n" + "".join(f"2020-{month:02d}-{day},1\n" for month in range(1, 9) for day in ("01", "16")),
            "no calendar",
        ),
    ],
)
def test_files_of_another_shape_are_refused_with_the_way_out(tmp_path, text, message):
    """Wide files, hours and half months say what is expected instead."""
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, text))


def test_a_level_is_named_once(tmp_path):
    """A level named twice, or one of the three columns, is refused."""
    path = written(tmp_path, "unique_id,ds,y,region\n" + "".join(f"a,{day},1,N\n" for day in MONTHS))
    for levels in (["region", "region"], ["unique_id"]):
        with pytest.raises(InputError, match="name each level column once"):
            read(path, levels)


def test_windows_latin_is_no_chinese(tmp_path):
    """Accented letters of a western spreadsheet are read as such."""
    text = "unique_id,ds,y\n" + "".join(f"Zürich,{day},5\nMünchen,{day},6\n" for day in MONTHS)
    assert read(written(tmp_path, text, encoding="cp1252")).panel.ids == ("München", "Zürich")


def test_what_is_no_text_is_refused(tmp_path):
    """A spreadsheet that only is called .csv is told from a text."""
    path = tmp_path / "book.csv"
    path.write_bytes(b"PK\x03\x04\x14\x00\x06\x00sheet")
    with pytest.raises(FileError, match="is not text"):
        read(path)
