from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pipelines import DAY, START, steady_pipeline

from forecast.errors import InputError, TooLittleHistoryError
from forecast.records import Account, Opportunity, Order, OrderLine, Person, Product, Team
from forecast.revenue.amounts import expected_amounts
from forecast.revenue.arrivals import new_deals
from forecast.revenue.closing import ConstantHazard, fit_hazard, won_by_days
from forecast.revenue.records import months_ahead, read_sales
from forecast.runs.booked import find_bookings

AS_OF = START + 300 * DAY


def won(name, *, day, amount=100, **more):
    """Make an opportunity that was won on a day of the start's month."""
    moments = {"created_at": START, "closed_at": START + day * DAY}
    return Opportunity(id=name, status="won", amount=amount, **moments, **more)


def order(name, *, day, amount=100, **more):
    """Make an order of a day of the start's month."""
    return Order(id=name, ordered_at=START + day * DAY, amount=amount, **more)


def test_an_order_of_a_won_opportunity_is_not_booked_twice(records_of):
    """Where orders name their opportunity, won opportunities are booked, and orders that have none."""
    records = records_of(won("O1", day=3), order("R1", day=4, opportunity_id="O1"), order("R2", day=5, amount=7))
    sales = read_sales(records, START + 10 * DAY)
    assert sales.booked["amount"].to_list() == [100.0, 7.0]
    assert sales.booked["from_deal"].to_list() == [True, False]


def test_orders_that_name_no_opportunity_stand_alone(records_of):
    """Where no order names an opportunity, orders alone are booked, opportunities are left out, and it says so."""
    sales = read_sales(records_of(won("O1", day=3), order("R1", day=4)), START + 10 * DAY)
    assert sales.booked["from_deal"].to_list() == [False]
    assert sales.deals.is_empty()
    assert "no order names its opportunity" in sales.remarks[0]


def test_cancelled_orders_and_undated_deals(records_of):
    """Cancelled orders are not booked, however it is written, but for one that takes back another; a won opportunity without a creation date is, but teaches nothing of deals."""
    undated = Opportunity(id="O1", status="won", amount=90, won_amount=80, closed_at=START + 2 * DAY)
    states = [(" Cancelled ", 100), ("已取消", 100), ("cancelled", -20)]
    orders = [
        order(f"R{number}", day=3, status=status, amount=amount) for number, (status, amount) in enumerate(states)
    ]
    records = records_of(undated, *orders, order("R9", day=4, opportunity_id="O1"))
    sales = read_sales(records, START + 10 * DAY)
    assert sales.booked["amount"].to_list() == [80.0, -20.0]
    assert sales.deals.is_empty()


def test_only_what_was_known_is_read(records_of):
    """What was booked or closed at the moment or later is not in the sales of that moment."""
    sales = read_sales(records_of(won("O1", day=3), won("O2", day=5), order("R1", day=5)), START + 5 * DAY)
    assert sales.booked["amount"].to_list() == [100.0]
    assert sales.open_deals["opportunity_id"].to_list() == ["O2"]


def test_an_order_without_an_amount_is_worth_its_lines(records_of):
    """Lines say what an order brought where it does not itself, and which product line it belongs to."""
    products = [Product(id=name, name=name, line=f"line {name}") for name in ("A", "B")]
    lines = [
        OrderLine(id="L1", order_id="R1", product_id="A", quantity=2, unit_price=10, discount_share=0.5),
        OrderLine(id="L2", order_id="R1", product_id="B", amount=30),
    ]
    booked = read_sales(records_of(*products, order("R1", day=3, amount=None), *lines), START + 10 * DAY).booked
    assert booked.select("amount", "product").rows() == [(40.0, "line B")]


def test_units_come_from_owner_team_and_account(records_of):
    """A sale belongs to its owner, to the owner's team and to the team's region; what is missing has a unit of its own."""
    people = [Team(id="T1", name="North", region="Nord"), Person(id="U1", name="Ada", team_id="T1")]
    records = records_of(*people, won("O1", day=3, owner_id="U1"), won("O2", day=4))
    booked = read_sales(records, START + 10 * DAY).booked
    found = booked.select("person", "team", "region", "product").rows()
    assert found == [
        ("U1", "T1", "Nord", "no product line"),
        ("nobody", "no team", "no region", "no product line"),
    ]
    assert records.names["person", "U1"] == "Ada"


def test_the_team_and_region_that_a_sale_names_come_first(records_of):
    """A sale counts in its own team, else its owner's; in its own region, else its account's, else its team's; orders and deals alike."""
    people = [Team(id="T1", region="Nord"), Team(id="T2", region="Sud"), Person(id="U1", team_id="T1")]
    accounts = [Account(id="A1", region="Harz"), Account(id="A2")]
    units = [{"team_id": team, "account_id": account} for team in (None, "T2") for account in ("A1", "A2")]
    rows = [order(f"R{number}", day=3, owner_id="U1", **own) for number, own in enumerate(units)]
    rows += [order("R8", day=3, region="West", owner_id="U1", **units[0]), order("R9", day=3, team_id="T9")]
    expected = [("T1", "Harz"), ("T1", "Nord"), ("T1", "West"), ("T2", "Harz"), ("T2", "Sud"), ("T9", "no region")]
    booked = read_sales(records_of(*people, *accounts, *rows), START + 10 * DAY).booked
    assert sorted(booked.select("team", "region").rows()) == expected
    deals = [won(f"O{number}", day=3, owner_id="U1", **own) for number, own in enumerate(units)]
    named = order("R5", day=3, opportunity_id="O1")
    found = read_sales(records_of(*deals, named), START + 10 * DAY).booked.filter("from_deal")
    assert sorted(found.select("team", "region").rows()) == [one for one in expected if one[1] != "West"][:4]


def test_who_is_no_record_is_in_the_team_that_their_sales_mostly_name(records_of):
    """Where persons were not imported, a sale that names no team counts in that of most of its owner's."""
    rows = [
        order(f"R{number}", day=3, owner_id="U1", team_id=team) for number, team in enumerate(("T1", "T2", "T2", None))
    ]
    booked = read_sales(records_of(*rows), START + 10 * DAY).booked
    assert sorted(booked["team"]) == ["T1", "T2", "T2", "T2"]


def test_a_product_that_is_no_record_is_a_line_of_its_own(records_of):
    """Orders and deals that name products which were not imported are told apart by them."""
    line = OrderLine(id="L1", order_id="R1", product_id="mug", amount=5)
    sales = read_sales(
        records_of(
            order("R1", day=3), line, won("O1", day=3, product_id="pan"), order("R2", day=4, opportunity_id="O1")
        ),
        AS_OF,
    )
    assert sorted(sales.booked["product"]) == ["mug", "pan"]


def test_several_currencies_need_a_name(records_of):
    """Amounts in two currencies are not added up: one is asked for, and then only its sales count."""
    records = records_of(won("O1", day=3, currency="EUR"), won("O2", day=4, currency="CNY"))
    with pytest.raises(InputError, match=r"CNY \(1\).*--currency|EUR \(1\).*--currency"):
        read_sales(records, AS_OF)
    assert read_sales(records, AS_OF, currency="EUR").booked.height == 1
    with pytest.raises(TooLittleHistoryError, match=r'no amount is in "USD".*CNY'):
        read_sales(records, AS_OF, currency="USD")


def test_before_the_first_amount_in_a_currency_nothing_is_booked_in_it(records_of):
    """At a moment that knows other currencies only, nothing is booked, and no forecast is made, whatever came later."""
    records = records_of(won("O1", day=3, currency="EUR"), order("R1", day=60, currency="CNY"))
    early = START + 30 * DAY
    assert find_bookings(records, early, currency="CNY").is_empty()
    assert find_bookings(records, early, currency="EUR").height == 1
    with pytest.raises(TooLittleHistoryError, match="EUR"):
        read_sales(records, early, currency="CNY")


def test_amounts_without_a_currency_are_in_the_only_one(records_of):
    """Naming the only currency there is leaves out nothing; of two, only what names the one asked for counts."""
    rows = [won("O1", day=3, currency="EUR"), won("O2", day=4)]
    records = records_of(*rows)
    assert [read_sales(records, AS_OF, currency=asked).booked.height for asked in (None, "EUR")] == [2, 2]
    several = read_sales(records_of(won("O3", day=5, currency="CNY")), AS_OF, currency="EUR")
    assert several.booked.height == 1
    assert any(remark.startswith("1 amounts name no currency") for remark in several.remarks)


def test_no_history_is_said(records_of):
    """Without orders or opportunities there is nothing to forecast from."""
    with pytest.raises(TooLittleHistoryError, match="import some"):
        read_sales(records_of(), AS_OF)


def test_months_are_local():
    """Months begin at local midnight, and the share that is over is of the local month."""
    months = months_ahead(datetime(2026, 10, 31, 17, tzinfo=UTC), 2, "Asia/Shanghai")
    assert [str(day) for day in months.starts] == ["2026-11-01", "2026-12-01"]
    assert months.ends_days == pytest.approx([30 - 1 / 24, 61 - 1 / 24])
    assert months.elapsed == pytest.approx(1 / 24 / 30)


def test_open_deals_are_won_as_often_as_such_deals_were(records_of):
    """Of deals of one age that all last as long, the hazards learn both when and how often they are won."""
    sales = read_sales(records_of(*steady_pipeline(days=300)), AS_OF)
    days = np.array([15.0, 45.0])
    won_by = won_by_days(sales, days, horizon_days=200.0, seed=1)
    age = np.array([(AS_OF - created) / timedelta(days=1) for created in sales.open_deals["created_at"]])
    due = age > 20
    assert won_by[due, 0].mean() == pytest.approx(0.3, abs=0.08)
    assert won_by[age < 10, 0].mean() < 0.05
    assert won_by[:, 1].mean() == pytest.approx(0.3, abs=0.08)
    assert (np.diff(won_by, axis=1) >= 0).all()


def test_a_stage_that_closing_overwrote_does_not_pass_for_staying_open(records_of):
    """An export without history has the stage of open deals only; these are won as often as without it."""
    rows = steady_pipeline(days=300)
    for row in rows:
        row.stage = "Offer" if row.status == "open" else row.status
    sales = read_sales(records_of(*rows), AS_OF)
    won_by = won_by_days(sales, np.array([45.0]), horizon_days=200.0, seed=1)
    assert won_by.mean() == pytest.approx(0.3, abs=0.08)


def test_few_ends_teach_how_often_alone(records_of):
    """With fewer ends than hazards need, all deals are taken to end as often and be won as often."""
    sales = read_sales(records_of(*steady_pipeline(days=40)), START + 40 * DAY)
    assert isinstance(fit_hazard(sales, horizon_days=200.0, seed=1), ConstantHazard)


def test_deals_are_expected_at_what_such_deals_paid(records_of):
    """Amounts shrink on the way to being won: an open deal is expected at the usual share of what it stands at."""
    sales = read_sales(records_of(*steady_pipeline(days=300, paid=0.8)), AS_OF)
    assert expected_amounts(sales).mean == pytest.approx(80.0)


def test_a_deal_without_an_amount_is_expected_at_what_its_product_pays(records_of):
    """Where no amount is stated, the mean of what the product's deals were won for stands in, shrunk to that of all."""
    rows = [won(f"A{number}", day=3, amount=10, product_id="A") for number in range(40)]
    rows += [won(f"B{number}", day=3, amount=1000, product_id="B") for number in range(40)]
    asked = Opportunity(id="C", created_at=START, product_id="A", status="open")
    found = expected_amounts(read_sales(records_of(*rows, asked), AS_OF)).mean[0]
    assert found == pytest.approx((40 * 10 + 5 * 505) / 45)


def test_new_deals_come_and_are_won_as_before(records_of):
    """Two a day, three in ten of them won after thirty days: later months bring as much, the first month nothing."""
    sales = read_sales(records_of(*steady_pipeline(days=300)), AS_OF)
    months = months_ahead(AS_OF, 4, "UTC")
    arrivals = new_deals(sales, months)
    steady = 2 * 0.3 * np.diff(months.ends_days, prepend=0)
    assert arrivals.counts[0] == pytest.approx(0, abs=0.5)
    assert arrivals.counts[2:] == pytest.approx(steady[2:], rel=0.15)
