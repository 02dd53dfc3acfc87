"""Sheets of sales with a row a line of an order."""

from datetime import UTC, datetime

import polars as pl
import pytest
from clock import NOW
from polars.testing import assert_frame_equal

from forecast.intake import Mapping, import_files, sales_lines
from forecast.intake.files import open_tables
from forecast.intake.sales_lines import split_sales_lines
from forecast.records import Order, OrderLine

HEADINGS = "Invoice,Stock Code,Quantity,Invoice Date,Price,Customer ID,Country\n"


@pytest.fixture
def load_sheet(engine, tmp_path, write):
    """Import a text as orders; give the reports."""

    def loaded(text, kind="order"):
        path = write(text, "sales.csv")
        return import_files(engine, [path], kind=kind, imported_at=NOW, rejects_folder=tmp_path / "rejects").reports

    return loaded


@pytest.mark.parametrize("kind", ["order", "order_line"])
def test_lines_of_an_order_are_added_up(load_sheet, stored, kind):
    """Rows that share an order's id, customer and moment become one order with its lines; a return is taken off."""
    rows = (
        "1001,mug,6,2024-01-05 10:30,2.50,C1,Spain\n1001,pan,1,2024-01-05 10:30,30,C1,Spain\n"
        "1002,mug,2,2024-02-01 09:00,2.50,C2,Peru\n1002,pan,-1,2024-02-01 09:00,30,C2,Peru\n"
    )
    orders, lines = load_sheet(HEADINGS + rows, kind)
    assert (orders.new, lines.new) == (2, 4)
    assert "4 rows are lines of 2 orders, whose amounts are quantity times price" in " ".join(orders.warnings)
    found = stored(Order)
    assert {key: float(order.amount) for key, order in found.items()} == {"1001": 45.0, "1002": -25.0}
    assert found["1001"].account_id == "C1"
    assert found["1001"].ordered_at == datetime(2024, 1, 5, 10, 30, tzinfo=UTC)
    bought = {(line.order_id, line.product_id, line.quantity) for line in stored(OrderLine).values()}
    assert bought == {("1001", "mug", 6.0), ("1001", "pan", 1.0), ("1002", "mug", 2.0), ("1002", "pan", -1.0)}


def test_a_reseller_is_the_customer_of_what_it_orders(load_sheet, stored):
    """Where a company sells to resellers, dealers or distributors, their orders are linked to them as to any account."""
    rows = "SO1,1,676,349,20\nSO1,1,676,350,5\nSO2,2,117,349,20\n".replace(",1,", ",2024-01-05,").replace(
        ",2,", ",2024-02-06,"
    )
    load_sheet("SalesOrderNumber,OrderDate,ResellerKey,ProductKey,SalesAmount\n" + rows, kind=None)
    assert {one.id: (one.account_id, one.amount) for one in stored(Order).values()} == {
        "SO1": ("676", 25),
        "SO2": ("117", 20),
    }
    load_sheet("订单编号,经销商编号,日期,产品编号,金额\nA1,K1,2024-03-01,P1,36\nA1,K1,2024-03-01,P2,12\n", kind=None)
    assert stored(Order)["A1"].account_id == "K1"


@pytest.mark.parametrize(
    ("headings", "team", "region"),
    [
        ("SalesTerritoryKey,Country", "T1", "Spain"),
        ("Sales Team,Territory", "T1", "Spain"),
        ("销售团队,区域", "T1", "Spain"),
        ("Other,Region", None, "Spain"),
    ],
)
def test_an_order_has_the_team_and_region_of_its_lines(load_sheet, stored, headings, team, region):
    """A key of a sales territory, or a team, is the order's team; a territory's name or a country is its region."""
    rows = "A1,K1,2024-03-01,P1,36,T1,Spain\nA1,K1,2024-03-01,P2,12,T1,Spain\n"
    load_sheet(f"Order Number,Customer,Date,Product,Amount,{headings}\n{rows}")
    assert [(one.team_id, one.region) for one in stored(Order).values()] == [(team, region)]


def test_a_status_is_the_orders_where_all_its_lines_share_it(load_sheet, stored):
    """An order of which some lines are cancelled is none that is cancelled; its lines say which are."""
    rows = "A1,K1,2024-03-01,P1,36,Cancelled\nA1,K1,2024-03-01,P2,12,Cancelled\n"
    rows += "A2,K1,2024-03-02,P1,36,Cancelled\nA2,K1,2024-03-02,P2,12,Shipped\n"
    load_sheet(f"Order Number,Customer,Date,Product,Amount,Status\n{rows}")
    assert {key: one.status for key, one in stored(Order).items()} == {"A1": "Cancelled", "A2": None}
    lines = [(one.order_id, one.product_id, one.custom["status"]) for one in stored(OrderLine).values()]
    assert set(lines) == {
        ("A1", "P1", "Cancelled"),
        ("A1", "P2", "Cancelled"),
        ("A2", "P1", "Cancelled"),
        ("A2", "P2", "Shipped"),
    }


def test_an_order_of_lines_without_values_has_no_amount(load_sheet, stored):
    """Nothing is known of it, which is not nothing."""
    rows = "1,mug,6,2024-01-05,2.5,C1,Spain\n1,pan,1,2024-01-05,30,C1,Spain\n2,mug,,2024-01-06,,C2,Spain\n2,pan,1,2024-01-06,,C2,Spain\n"
    load_sheet(HEADINGS + rows)
    assert {key: order.amount and float(order.amount) for key, order in stored(Order).items()} == {"1": 45.0, "2": None}


def test_a_key_of_an_orders_date_is_its_moment(load_sheet, stored):
    """A data warehouse writes the day of an order as a number, 20240105."""
    rows = "1,20240105,C1,mug,5\n1,20240105,C1,pan,30\n2,20240301,C2,mug,5\n"
    load_sheet("SalesOrderNumber,OrderDateKey,CustomerKey,ProductKey,SalesAmount\n" + rows)
    assert [f"{one.ordered_at:%Y-%m-%d} {one.amount:.0f}" for one in stored(Order).values()] == [
        "2024-01-05 35",
        "2024-03-01 5",
    ]


@pytest.mark.parametrize(("repeated", "amount"), [(True, 36.5), (False, 73.0)])
def test_an_amount_that_all_lines_repeat_is_the_orders_own(load_sheet, stored, repeated, amount):
    """A total stands on each line of its order and counts once; amounts of lines differ and are added up."""
    other = "12" if repeated else "13"
    text = (
        "订单编号,客户编号,日期,产品编号,金额\n"
        "A1,K1,2024-03-01,P1,36.50\nA1,K1,2024-03-01,P2,36.50\n"
        f"A2,K2,2024-03-02,P1,12\nA2,K2,2024-03-02,P3,{other}\n"
    )
    load_sheet(text)
    assert float(stored(Order)["A1"].amount) == amount


def test_nothing_of_a_sheet_is_lost(load_sheet, stored):
    """Rows without an order's id are lines of none, other columns custom fields of lines; rows of a wrong width are refused."""
    headings = HEADINGS.replace("Country", "Colour")
    rows = "1,mug,6,2024-01-05,2.5,C1,red\n1,pan,1,2024-01-05,30,C1,blue\n"
    orders, lines = load_sheet(headings + rows + ",total,7,,,,\n2,mug,1,2024-01-06,2.5,C1,red,extra\n3,pan\n")
    assert (orders.new, orders.rejected) == (1, 0)
    assert (lines.new, lines.rejected) == (3, 2)
    assert "1 rows name no order: they are stored as lines of none" in " ".join(orders.warnings)
    assert {(one.product_id, one.order_id, one.custom.get("colour")) for one in stored(OrderLine).values()} == {
        ("mug", "1", "red"),
        ("pan", "1", "blue"),
        ("total", None, None),
    }


def test_orders_whose_ids_differ_stay_as_they_are(load_sheet, stored):
    """A sheet with one row an order is not split, even if it names products."""
    (report,) = load_sheet(HEADINGS + "1,mug,6,2024-01-05,2.5,C1,Spain\n2,mug,1,2024-01-06,2.5,C1,Spain\n")
    assert (report.kind, report.new) == ("order", 2)
    assert not stored(OrderLine)


def test_lines_of_orders_that_have_one_each_make_orders(load_sheet, stored):
    """What is recognised as lines makes its orders, however many lines they have; totals below are of neither."""
    text = "Order ID,Order Date,Customer ID,Product ID,Quantity,Unit Price\n"
    rows = "1,2024-01-05,C1,mug,6,2.5\n2,2024-01-06,C2,pan,1,30\nGrand Total,,,,7,45\n"
    load_sheet(text + rows, kind=None)
    assert {one.id: one.amount for one in stored(Order).values()} == {"1": 15, "2": 30}
    assert {one.order_id for one in stored(OrderLine).values()} == {"1", "2"}


def test_states_of_one_order_are_no_lines(load_sheet, stored):
    """Rows of one id that name different moments stay states of one record."""
    (report,) = load_sheet(HEADINGS + "1,mug,6,2024-01-05,2.5,C1,Spain\n1,mug,7,2024-02-06,2.5,C1,Spain\n")
    assert (report.new, report.changed) == (1, 1)
    assert len(stored(Order)) == 1


def test_orders_that_say_nothing_of_customers_are_named(load_sheet):
    """Where no column names the customer, the moment or the amount, the report says which; where all do, nothing."""
    (report,) = load_sheet("order id,who,fee\n1,C1,20\n2,C2,30\n")
    assert "no column names account_id, ordered_at, without" in " ".join(report.warnings)
    (report,) = load_sheet("subscriber,billing date,fee\nS1,2024-01-05,20\nS2,2024-01-06,30\n")
    assert "no column names" not in " ".join(report.warnings)


def test_an_order_is_whole_wherever_its_lines_stand(tmp_path, monkeypatch):
    """Lines of one order far apart in a long sheet are added up as if they stood together."""
    monkeypatch.setattr(sales_lines, "_PARTS_AT_ONCE", 2)  # else only a sheet of a million rows comes to it
    place = pl.int_range(180_000, eager=True)
    order = place // 2 % 30_000
    sheet = pl.DataFrame(
        {
            "Invoice": order,
            "Invoice Date": "2024-01-05",
            "Customer ID": order % 700,
            "Stock Code": place % 11,
            "Quantity": place % 5 + 1,
            "Price": (place % 7) * 1.25,
        }
    )
    sheet.write_parquet(tmp_path / "sales.parquet")
    (table,) = open_tables(tmp_path / "sales.parquet", tmp_path)
    orders, lines = (part for part, _ in split_sales_lines(table, Mapping(kind="order"), tmp_path))
    assert pl.scan_csv(lines.content).select(pl.len()).collect().item() == 180_000
    found = pl.read_csv(orders.content).select("Invoice", "Customer ID", "amount")
    worth = (pl.col("Quantity") * pl.col("Price")).sum().alias("amount")
    assert_frame_equal(
        found,
        sheet.group_by("Invoice", "Customer ID").agg(worth).select(found.columns),
        check_row_order=False,
        check_dtypes=False,
    )
