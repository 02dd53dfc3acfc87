from datetime import date

import pytest

from forecast.errors import InputError
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
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path, separator, number, value):
    """Separators of thousands, decimal commas and signs of currencies are understood."""
    text = f"ds{separator}y\n" + "".join(f"{day}{separator}{number}\n" for day in MONTHS)
    assert read(written(tmp_path, text)).panel.history[0].tolist() == [value] * 14


@pytest.mark.parametrize(
    "form", ["%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y-%m", "%Y年%m月", "%Y年%m月%d日", "%Y-%m-%dT00:00:00"]
)
def test_days_are_read_as_people_write_them(tmp_path, form):
    """Months by name of their first day, with slashes, dots, in Chinese, and with midnight behind."""
    text = "ds,y\n" + "".join(f"{date.fromisoformat(day).strftime(form)},1\n" for day in MONTHS)
    found = read(written(tmp_path, text)).panel
    assert (found.calendar.name, found.calendar.day(0)) == ("monthly", date(2020, 1, 1))


def test_quarters_may_be_called_by_their_number(tmp_path):
    """2024Q1 is the quarter that begins in January."""
    text = "ds,y\n" + "".join(f"{year}Q{quarter},1\n" for year in (2020, 2021) for quarter in (1, 2, 3, 4))
    assert read(written(tmp_path, text)).panel.calendar.name == "quarterly"


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
