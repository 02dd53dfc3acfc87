from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forecast.errors import RefusedValueError
from forecast.intake.columns import Reading, read_column
from forecast.intake.values import read_boolean, read_date, read_moment, read_number

UTC_ZONE = ZoneInfo("UTC")
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12500", 12500),
        ("-3.5", -3.5),
        ("+7", 7),
        ("1,234,567.89", 1234567.89),
        ("12,34,567", 1234567),
        ("$1,000", 1000),
        ("€ 99.90", 99.9),
        ("USD 5,000.00", 5000),
        ("5000 EUR", 5000),
        ("¥12,000元", 12000),
        ("(1,250)", -1250),
        ("100-", -100),
        ("12万", 120_000),
        ("1.5亿", 150_000_000),
        ("30万元", 300_000),
        ("45%", 0.45),
        ("１２３", 123),
        ("1 234", 1234),
        ("1'234.5", 1234.5),
        ("1e5", 100_000),
        (".5", 0.5),
    ],
)
def test_numbers_are_read_as_people_write_them(text, number):
    """Currency signs, thousand separators, Chinese units, percent and brackets are understood."""
    assert read_number(text) == pytest.approx(number)


@pytest.mark.parametrize(
    ("text", "number"), [("12,5", 12.5), ("1.234,50", 1234.5), ("1.234.567", 1234567), ("12", 12), ("€ 0,99", 0.99)]
)
def test_a_decimal_comma_is_read_where_the_column_has_one(text, number):
    """Point and comma change places."""
    assert read_number(text, decimal_mark=",") == pytest.approx(number)


@pytest.mark.parametrize(
    "text", ["12,5k", "abc", "1.2.3", "12,5", "1,23,4", "--5-5", "1e999", "12%%", "$", "0x10", "nan", "inf"]
)
def test_what_is_no_number_is_refused_with_a_remedy(text):
    """Nothing is guessed: the refusal names the text and what to write."""
    with pytest.raises(RefusedValueError) as refused:
        read_number(text)
    assert refused.value.value == text
    assert refused.value.remedy


@pytest.mark.parametrize("text", ["--5", "+-5", "(5", "5)", "-5-", "((5))"])
def test_signs_that_do_not_fit_together_are_refused(text):
    """One minus, before or after, or one pair of brackets; anything else may be a slip."""
    with pytest.raises(RefusedValueError, match="has more signs than one; write at most one minus"):
        read_number(text)


@pytest.mark.parametrize("field_type", ["date", "moment"])
def test_a_date_with_a_sign_is_refused(field_type):
    """A sign before the year is read over by no reader, whatever the dates beside it."""
    texts = pl.Series(["2024-05-31", "+2024-06-01", "-2024-06-01", "31/05/+2024", "+2024-06-01 10:00:00"])
    column = read_column(texts, Reading(heading="x", field="x", type=field_type))
    assert column.values.null_count() == 4
    assert set(column.refused) == set(texts[1:])


@given(st.floats(min_value=-1e12, max_value=1e12).map(lambda number: round(number, 2)))
def test_a_number_survives_being_formatted(number):
    """Formatting with thousand separators and reading back gives the same number, with either mark."""
    text = f"{number:,.2f}"
    assert read_number(text) == number
    assert read_number(text.translate(str.maketrans(",.", ".,")), decimal_mark=",") == number


@pytest.mark.parametrize(
    ("text", "value"),
    [("Yes", True), ("FALSE", False), ("是", True), ("否", False), ("1", True), ("√", True), ("N", False)],
)
def test_booleans_are_read_in_english_and_chinese(text, value):
    """Yes and no are known words."""
    assert read_boolean(text) is value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-02-29T10:30:00", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("2024-02-29 10:30:00.123456", datetime(2024, 2, 29, 10, 30, 0, 123456, tzinfo=UTC)),
        ("2024-02-29T10:30:00+08:00", datetime(2024, 2, 29, 2, 30, tzinfo=UTC)),
        ("2024-02-29T10:30:00.000+0000", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("2024-02-29 10:30Z", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("2024-02-29 10:30:00+00", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("26-02-2018 19:58", datetime(2018, 2, 26, 19, 58, tzinfo=UTC)),
        ("05/03/2024", datetime(2024, 3, 5, tzinfo=UTC)),
        ("5.3.2024", datetime(2024, 3, 5, tzinfo=UTC)),
        ("2024/3/5 1:02 PM", datetime(2024, 3, 5, 13, 2, tzinfo=UTC)),
        ("2024/3/5 12:02 AM", datetime(2024, 3, 5, 0, 2, tzinfo=UTC)),
        ("2024年3月5日", datetime(2024, 3, 5, tzinfo=UTC)),
        ("2024年3月5日 下午2:30", datetime(2024, 3, 5, 14, 30, tzinfo=UTC)),
        ("5 Mar 2024", datetime(2024, 3, 5, tzinfo=UTC)),
        ("March 5, 2024", datetime(2024, 3, 5, tzinfo=UTC)),
        ("20240305", datetime(2024, 3, 5, tzinfo=UTC)),
        ("01/02/99", datetime(1999, 2, 1, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_the_usual_forms(text, moment):
    """ISO, day-first, Chinese, English months and clocks of twelve hours mean what they say, alone or in a column."""
    assert read_moment(text, zone=UTC_ZONE) == moment
    column = read_column(pl.Series([text], dtype=pl.String), Reading(heading="h", field="created_at", type="moment"))
    assert column.values.to_list() == [moment]


@pytest.mark.parametrize(
    "text", ["2023-02-29", "29/02/2023", "2024-13-01", "31.04.2024", "2024-02-30 10:00", "2024-02-01 25:00"]
)
def test_a_date_that_does_not_exist_is_refused(text):
    """The 29th of February of a common year is no day, whichever way it is read."""
    with pytest.raises(RefusedValueError, match="does not exist"):
        read_moment(text, zone=UTC_ZONE)
    for kind in ("moment", "date"):
        column = read_column(pl.Series([text], dtype=pl.String), Reading(heading="h", field="x", type=kind))
        assert column.values.to_list() == [None]
        assert list(column.refused) == [text]


@pytest.mark.parametrize("text", ["13:00", "tomorrow", "2024", "2024-02", "12/2024", "1/2", "24-01-05-07"])
def test_what_is_no_date_is_refused(text):
    """A part of a date is not a date."""
    with pytest.raises(RefusedValueError):
        read_date(text, zone=UTC_ZONE)


def test_a_year_last_needs_an_order():
    """Where dates are declared to begin with the year, 03/04/2024 is refused."""
    with pytest.raises(RefusedValueError, match="date_order"):
        read_date("03/04/2024", date_order="ymd", zone=UTC_ZONE)
    assert read_date("03/04/2024", date_order="mdy", zone=UTC_ZONE) == date(2024, 3, 4)


@given(
    st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2090, 1, 1)),  # noqa: DTZ001  # local on purpose
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]),
)
def test_a_local_moment_is_placed_as_zoneinfo_places_it(moment, name):
    """The column's fast way agrees with the standard library, also in the hours that clocks skip or repeat."""
    zone = ZoneInfo(name)
    text = moment.isoformat(sep=" ", timespec="microseconds")
    column = read_column(pl.Series([text], dtype=pl.String), Reading(heading="h", field="x", type="moment", zone=zone))
    assert column.values.to_list() == [moment.replace(tzinfo=zone).astimezone(UTC)]


def test_the_day_of_a_moment_is_that_of_the_zone():
    """Half past eleven at night in UTC is the next day in Shanghai."""
    assert read_date("2024-02-28T23:30:00Z", zone=SHANGHAI) == date(2024, 2, 29)


def test_epochs_are_moments():
    """A column of milliseconds or seconds counts from 1970."""
    moment = datetime(2024, 2, 29, 10, tzinfo=UTC)
    for unit, factor in (("s", 1), ("ms", 1000)):
        texts = pl.Series([str(int(moment.timestamp() * factor)), None])
        column = read_column(texts, Reading(heading="h", field="x", type="moment", epoch_unit=unit))
        assert column.values.to_list() == [moment, None]


def test_a_word_for_nothing_is_an_empty_cell_of_a_number():
    """N/A, NULL and a dash are empty in a column of numbers, and themselves in one of text."""
    texts = pl.Series(["N/A", "null", "-", "5"])
    assert read_column(texts, Reading(heading="h", field="x", type="number")).values.to_list() == [None, None, None, 5]
    assert read_column(texts, Reading(heading="h", field="x", type="text")).values.to_list() == [
        "N/A",
        "null",
        "-",
        "5",
    ]


def test_shares_lie_between_0_and_1():
    """Percent signs divide once; what is above 100 percent is refused."""
    reading = Reading(heading="h", field="seller_probability", type="share", factor=0.01, bounds=(0, 1))
    column = read_column(pl.Series(["57", "60%", "100", "101", "-1"]), reading)
    assert column.values.to_list() == [0.57, 0.6, 1.0, None, None]
    assert set(column.refused) == {"101", "-1"}


def test_whole_numbers_have_no_fraction():
    """2448.0 is whole, 3.5 is refused."""
    column = read_column(pl.Series(["2448.0", "3.5"]), Reading(heading="h", field="employees", type="integer"))
    assert column.values.to_list() == [2448, None]
    assert "whole" in column.refused["3.5"].reason


def test_a_zero_byte_is_refused():
    """PostgreSQL holds no zero byte, so the cell is refused rather than mended."""
    column = read_column(pl.Series(["a\x00b", "c"]), Reading(heading="h", field="name", type="text"))
    assert column.values.to_list() == [None, "c"]
    assert "zero byte" in column.refused["a\x00b"].reason


def test_lists_are_split_and_stripped():
    """Empty parts are left out; the Chinese semicolon separates too."""
    column = read_column(pl.Series(["a; b", "c；", None]), Reading(heading="h", field="custom.tags", type="list"))
    assert column.values.to_list() == [["a", "b"], ["c"], None]


@example(["1E100"])
@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=8), st.integers(-(10**6), 10**6).map(str), st.dates().map(str)),
        max_size=20,
    )
)
def test_each_cell_is_a_value_empty_or_refused(cells):
    """No reading loses a cell: what is not null came from it, what is null was empty, a word for nothing, or is refused."""
    texts = pl.Series([cell.strip() or None if cell else None for cell in cells], dtype=pl.String)
    for kind in ("number", "boolean", "date", "moment", "integer", "text"):
        column = read_column(texts, Reading(heading="h", field="x", type=kind))
        for text, value in zip(texts, column.values, strict=True):
            empty = text is None or text.lower() in {
                "null",
                "n/a",
                "#n/a",
                "na",
                "nan",
                "none",
                "nil",
                "\\n",
                "-",
                "--",
                "—",
                "空",
            }
            assert (value is None) == ((empty and kind != "text") or text is None or text in column.refused)


def test_a_number_beyond_all_floats_is_refused():
    """Infinity is no amount."""
    column = read_column(pl.Series(["9" * 400]), Reading(heading="h", field="x", type="number"))
    assert column.values.to_list() == [None]
    assert "too large" in column.refused["9" * 400].reason


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("１２，３４５．６", 12345.6),
        ("（１，２３４．５０）", -1234.5),
        ("(USD 1,234.50)", -1234.5),
        ("-$5", -5),
        ("CNY 1.2万", 12000),
    ],
)
def test_full_width_signs_and_accounts_are_numbers(text, number):
    """Full-width digits and punctuation, brackets for minus and codes of currencies."""
    assert read_number(text) == pytest.approx(number)
    column = read_column(pl.Series([text]), Reading(heading="h", field="amount", type="number"))
    assert column.values.to_list() == [pytest.approx(number)]


@pytest.mark.parametrize(
    ("text", "moment"),
    [("45352", datetime(2024, 3, 1, tzinfo=UTC)), ("45352.75", datetime(2024, 3, 1, 18, tzinfo=UTC))],
)
def test_a_serial_of_excel_is_a_date_in_a_column_of_dates(text, moment):
    """Days since the end of 1899; five digits are no other date."""
    assert read_moment(text, zone=UTC_ZONE) == moment
    assert read_date(text, zone=UTC_ZONE) == moment.date()


def test_a_cell_with_its_own_unit_is_not_scaled_by_the_heading():
    """Under 金额(万元), 12万 is 120,000 and 12 is too."""
    reading = Reading(heading="金额(万元)", field="amount", type="number", factor=10_000.0)
    assert read_column(pl.Series(["12万", "12"]), reading).values.to_list() == [120_000, 120_000]
