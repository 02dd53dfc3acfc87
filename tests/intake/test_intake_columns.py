"""What is decided of a column from all its cells."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from forecast.intake import Mapping


def test_moments_without_a_zone_are_of_the_company(load, stored):
    """The mapping's zone wins over the given one; a zone in the cell wins over both."""
    text = "id,outcome,created_at\n1,,2024-03-31 10:00\n2,,2024-03-31T10:00:00Z\n"
    load(text, timezone="Asia/Shanghai", mapping=Mapping(timezone="Europe/Berlin"))
    assert [one.created_at.hour for one in stored().values()] == [8, 10]


def test_the_order_of_dates_is_decided_on_the_whole_column(load, stored):
    """One day above 12 settles it; where none is, day first is taken and said."""
    clear = load("id,outcome,created_at\n1,,03/04/2024\n2,,03/25/2024\n")
    assert clear.warnings == ()
    assert stored()["1"].created_at == datetime(2024, 3, 4, tzinfo=UTC)
    unclear = load("id,outcome,created_at\n1,,03/04/2024\n")
    assert any("day first" in warning for warning in unclear.warnings)
    assert stored()["1"].created_at == datetime(2024, 4, 3, tzinfo=UTC)


def test_dates_that_leave_their_order_open_follow_those_beside_them(load, stored):
    """Columns of one file are written alike: what one tells holds for the others, of ours or not, and is no doubt."""
    text = "id,outcome,created_at,closed_at,seen\n1,won,03/04/2024,03/25/2024,01/02/2024\n2,lost,03/05/2024,04/05/2024,02/03/2024\n"
    assert load(text).warnings == ()
    assert stored()["1"].created_at == datetime(2024, 3, 4, tzinfo=UTC)
    assert stored()["1"].custom["seen"] == "2024-01-02"


def test_dates_beside_those_of_two_orders_are_asked_for(load, stored):
    """Where the columns that tell differ, the others are day first, and said to be so."""
    report = load("id,outcome,created_at,closed_at,seen\n1,won,03/04/2024,03/25/2024,25/02/2024\n")
    assert [warning for warning in report.warnings if "created_at" in warning and "read day first" in warning]
    assert stored()["1"].created_at == datetime(2024, 4, 3, tzinfo=UTC)


def test_a_decimal_comma_is_decided_on_the_whole_column(load, stored):
    """1.250 beside 99,50 is twelve hundred and fifty."""
    load("id;outcome;amount\n1;;1.250\n2;;99,50\n")
    assert [one.amount for one in stored().values()] == [1250, Decimal("99.50")]


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (["1", "2.5", "1,000"], "number"),
        (["1", "2", "many"], "category"),
        (["007", "012"], "category"),
        (["yes", "no", ""], "boolean"),
        (["2024-01-01", "2024-02-29 10:00"], "date"),
        (["a;b", "b;c", "d"], "list"),
        (["a long remark about what was said in the meeting", "another long remark on what will be done next"], "text"),
        (["Acme", "Globex", "Acme"], "category"),
    ],
)
def test_the_type_of_a_custom_field_follows_from_all_its_cells(load, cells, type_):
    """One cell that does not fit makes it a category."""
    rows = "".join(f'{number},,"{cell}"\n' for number, cell in enumerate(cells))
    assert load(f"id,outcome,Thing\n{rows}").custom_fields == {"thing": type_}


def test_codes_are_no_quantities(load, stored):
    """A phone number keeps its digits as text."""
    load("id,outcome,Phone\n1,,13800138000\n")
    assert stored()["1"].custom == {"phone": "13800138000"}


def test_a_declared_type_is_kept_until_most_cells_contradict(load, stored):
    """A single misfit is refused; a column of misfits turns the field into text, with a warning."""
    load("id,outcome,Seats\n1,,5\n2,,6\n")
    one_wrong = load("id,outcome,Seats\n1,,5\n2,,6\n3,,many\n")
    assert (one_wrong.rejected, one_wrong.custom_fields) == (1, {"seats": "number"})
    all_wrong = load("id,outcome,Seats\n1,,few\n2,,many\n")
    assert (all_wrong.rejected, all_wrong.custom_fields) == (0, {"seats": "text"})
    assert any("becomes text" in warning for warning in all_wrong.warnings)
    assert stored()["2"].custom == {"seats": "many"}


@pytest.mark.parametrize(
    ("heading", "amount"),
    [
        ("预计金额(万元)", 20_000),
        ("预计金额（百万）", 2_000_000),
        ("金额(亿元)", 2e8),
        ("金额(千元)", 2_000),
        ("Amount (K)", 2_000),
        ("Amount (USD M)", 2_000_000),
        ("Amount (USD)", 2),
    ],
)
def test_the_unit_in_a_heading_scales_the_amount(load, stored, heading, amount):
    """万, 亿, 千 and the usual short words for thousands and millions."""
    load(f"id,outcome,{heading}\n1,won,2\n")
    assert float(stored()["1"].amount) == amount


@pytest.mark.parametrize(
    ("cells", "type_", "first"),
    [
        (["USD 5,000", "(1,200.50)", "3万"], "number", 5000),
        (["１２，３４５", "７", "８"], "number", 12345),
        (["1714557600000", "1714557601000", "1714557602000"], "date", "2024-05-01T10:00:00Z"),
        (["红、蓝", "绿、红", "蓝"], "list", ["红", "蓝"]),
        (["a|b", "b|c", "c"], "list", ["a", "b"]),
        (
            ["先联系、再拜访，等回复。", "报价、跟进，已寄样。", "无，稍后、再说。"],
            "category",
            "先联系、再拜访，等回复。",
        ),
    ],
)
def test_the_usual_ways_of_writing_reach_custom_fields(load, stored, cells, type_, first):
    """Currencies, full-width digits, epochs and multi-selects have a type of their own."""
    text = "id,outcome,feld\n" + "".join(f'{place},won,"{cell}"\n' for place, cell in enumerate(cells))
    assert load(text).custom_fields == {"feld": type_}
    assert stored()["0"].custom == {"feld": first}


def test_a_declared_list_without_other_marks_is_split_at_commas(load, stored):
    """A comma alone is too weak a sign to see a list in it."""
    text = 'id,outcome,tags\n1,won,"a, b"\n2,won,"b,c"\n'
    load(text, mapping=Mapping(types={"tags": "list"}))
    assert stored()["1"].custom == {"tags": ["a", "b"]}
