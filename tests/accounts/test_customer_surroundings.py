"""Costs, products, satisfaction and pipeline of customers: as stored, and as known at a moment."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from buyers import FIRST, history_of
from polars.testing import assert_frame_equal
from sqlalchemy import insert

from forecast.accounts.reading import read_customers
from forecast.customers import (
    LINE_TYPES,
    PIPELINE_TYPES,
    PLACE_TYPES,
    RATING_TYPES,
    WIN_SCORE_TYPES,
    account_attributes,
    cut_customers,
    margin_shares,
    open_pipeline,
    unusual_silence,
)
from forecast.features.customers import customer_features
from forecast.records import Account, Change, CustomField, Feedback, Order, OrderLine, Product
from forecast.store import unit_of_work

AS_OF = FIRST + timedelta(days=100)


def day(number):
    """Give a moment so many days after the first."""
    return FIRST + timedelta(days=number)


def frame(rows, types):
    """Give a frame of rows of Python values."""
    return pl.DataFrame(rows, schema=types, orient="row")


@pytest.fixture
def world():
    """One customer with products, ratings and opportunities before and after AS_OF."""
    return replace(
        history_of([("a", day(10), 100.0), ("a", day(50), 100.0)]),
        lines=frame([("a", day(10), "p"), ("a", day(50), "p"), ("a", day(50), "q"), ("a", AS_OF, "r")], LINE_TYPES),
        ratings=frame([("a", day(20), 0.5), ("a", day(30), 1.0), ("a", AS_OF, 0.0)], RATING_TYPES),
        pipeline=frame(
            [
                ("a", "o1", day(1), day(5), "won", 50.0),
                ("a", "o2", day(60), None, "open", 400.0),
                ("a", "o3", day(70), day(150), "lost", 100.0),
                ("a", "o4", AS_OF, None, "open", 900.0),
            ],
            PIPELINE_TYPES,
        ),
        win_scores=frame([("o2", day(70), 0.1), ("o2", day(90), 0.4), ("o2", AS_OF, 0.9)], WIN_SCORE_TYPES),
    )


def test_surroundings_count_as_known_at_the_moment(world):
    """Different products, mean satisfaction and expected wins are those before the moment."""
    found = customer_features(world, AS_OF, horizon_days=90).row(0, named=True)
    assert (found["product_count"], found["satisfaction"], found["gap_max_days"]) == (2, 0.75, 40)
    assert found["open_wins"] == pytest.approx(0.4 + 2 / 3)


def test_the_open_pipeline_is_weighed_by_the_newest_score_before_the_moment(world):
    """What closed later is open; without a score, the share won by then counts, with one won and one lost added."""
    found = open_pipeline(world, AS_OF).row(0, named=True)
    assert found["open_count"] == 2
    assert found["open_value"] == pytest.approx(0.4 * 400 + 2 / 3 * 100)


def test_cutting_the_history_changes_no_surrounding(world):
    """What is stored later might as well not be there."""
    cut = cut_customers(world, AS_OF)
    assert_frame_equal(open_pipeline(world, AS_OF), open_pipeline(cut, AS_OF))
    whole, known = (customer_features(history, AS_OF, horizon_days=90) for history in (world, cut))
    assert_frame_equal(whole, known)


def test_margins_are_drawn_to_that_of_all():
    """A customer's own margin counts against two orders of usual revenue; costs of later orders don't count."""
    orders = history_of([("a", day(1), 100.0), ("a", day(2), 100.0), ("b", day(3), 100.0), ("b", AS_OF, 100.0)]).orders
    history = replace(history_of([]), orders=orders.with_columns(cost=pl.Series([50.0, 50.0, 80.0, 0.0])))
    found = margin_shares(history, AS_OF)
    usual = 1 - 180 / 300
    assert dict(found.select("account_id", "margin_share").iter_rows()) == pytest.approx(
        {"a": (100 + 200 * usual) / 400, "b": (20 + 200 * usual) / 300}
    )
    assert margin_shares(history, day(1)) is None
    assert margin_shares(history_of([("a", day(1), 1.0)]), AS_OF) is None


def test_costs_and_satisfaction_are_read_from_records(engine):
    """An order without a cost has that of its lines, if all are known; satisfaction is its place on its scale."""
    costs = {"own": 7, "lines": None, "partly": None}
    lines = [("lines", "p", 2), ("lines", "q", 1), ("partly", "p", 1), ("partly", "unknown", 1)]
    with unit_of_work(engine) as session:
        session.execute(insert(Product), [{"id": name, "external_id": name, "unit_cost": 5} for name in "pq"])
        session.execute(
            insert(Order),
            [
                {"id": name, "external_id": name, "account_id": name, "ordered_at": day(1), "amount": 100, "cost": cost}
                for name, cost in costs.items()
            ],
        )
        session.execute(
            insert(OrderLine),
            [
                {
                    "id": str(place),
                    "external_id": str(place),
                    "order_id": order,
                    "product_id": product,
                    "quantity": count,
                }
                for place, (order, product, count) in enumerate(lines)
            ],
        )
        given = {"s1": (4, "1-5"), "s2": (4, "10"), "s3": (4, "stars"), "s4": (9, "1-5")}
        session.execute(
            insert(Feedback),
            [
                {
                    "id": name,
                    "external_id": name,
                    "account_id": name,
                    "created_at": day(1),
                    "satisfaction": value,
                    "scale": scale,
                }
                for name, (value, scale) in given.items()
            ],
        )
    with unit_of_work(engine) as session:
        found = read_customers(session)
    assert dict(found.orders.select("account_id", "cost").iter_rows()) == {"own": 7, "lines": 15, "partly": None}
    assert dict(found.ratings.select("account_id", "satisfaction").iter_rows()) == {"s1": 0.75, "s2": 0.4}
    assert sorted(found.lines.select("account_id", "product_id").rows()) == [
        ("lines", "p"), ("lines", "q"), ("partly", "p"), ("partly", "unknown"),
    ]  # fmt: skip


def test_cancelled_orders_are_no_purchases(engine):
    """What was cancelled counts as given back, by the moment of the order, and is neither bought nor a product bought."""
    statuses = {"kept": None, "done": "Completed", "gone": " Cancelled", "zh": "已取消"}
    with unit_of_work(engine) as session:
        session.execute(
            insert(Order),
            [
                {
                    "id": name,
                    "external_id": name,
                    "account_id": "a",
                    "ordered_at": day(place),
                    "amount": 10,
                    "status": status,
                }
                for place, (name, status) in enumerate(statuses.items())
            ],
        )
        lines = [{"id": name, "external_id": name, "order_id": name, "product_id": name} for name in statuses]
        session.execute(insert(OrderLine), lines)
    with unit_of_work(engine) as session:
        found = read_customers(session)
    assert found.orders["ordered_at"].to_list() == [day(0), day(1)]
    assert sorted(found.lines["product_id"]) == ["done", "kept"]
    features = customer_features(found, AS_OF, horizon_days=90).row(0, named=True)
    assert (features["purchase_days"], features["spent"], features["returned_amount"]) == (2, 20, 20)
    assert customer_features(found, day(3), horizon_days=90)["returned_amount"].to_list() == [10]
    assert_frame_equal(cut_customers(found, day(3)).cancelled, found.cancelled.head(1))


def test_a_cancelled_amount_below_zero_is_a_return(engine):
    """An invoice of a cancellation takes back what was sold by another, whatever its status says."""
    orders = [("sold", 30, 0, None), ("taken back", -20, 1, "Cancelled")]
    rows = [
        {
            "id": name,
            "external_id": name,
            "account_id": "a",
            "ordered_at": day(place),
            "amount": amount,
            "status": status,
        }
        for name, amount, place, status in orders
    ]
    with unit_of_work(engine) as session:
        session.execute(insert(Order), rows)
    with unit_of_work(engine) as session:
        found = read_customers(session)
    features = customer_features(found, AS_OF, horizon_days=90).row(0, named=True)
    assert (found.orders.height, features["spent"], features["returned_amount"]) == (2, 30, 20)


def test_an_order_without_an_amount_is_worth_its_lines(engine):
    """Amounts of lines, else quantity times price less discount, are added up; an amount of its own comes first."""
    lines = [
        {"order_id": "lines", "quantity": 2, "unit_price": 10, "discount_share": 0.25},
        {"order_id": "lines", "quantity": 3, "unit_price": 10, "amount": 20},
        {"order_id": "lines", "quantity": 4},
        {"order_id": "own", "quantity": 2, "unit_price": 10},
        {"order_id": "unknown", "quantity": 2},
    ]
    amounts = {"lines": None, "own": 7, "unknown": None}
    with unit_of_work(engine) as session:
        for place, line in enumerate(lines):
            session.execute(insert(OrderLine), [{"id": str(place), "external_id": str(place), **line}])
        session.execute(
            insert(Order),
            [
                {"id": name, "external_id": name, "account_id": name, "ordered_at": day(1), "amount": amount}
                for name, amount in amounts.items()
            ],
        )
    with unit_of_work(engine) as session:
        found = read_customers(session)
    assert dict(found.orders.select("account_id", "amount").iter_rows()) == {"lines": 35, "own": 7, "unknown": None}


def test_a_silence_of_all_customers_is_unusual_where_none_was_so_long():
    """Nobody ordered for a month, and longer than ever before: orders are probably not imported."""
    often = history_of([("a", day(0), 1.0), ("b", day(40), 1.0), ("a", day(45), 1.0)])
    assert unusual_silence(often, day(85)) is None
    assert unusual_silence(often, day(86)) == day(45)
    assert unusual_silence(often, day(41)) is None
    assert unusual_silence(history_of([("a", day(0), 1.0)]), day(30)) is None
    assert unusual_silence(history_of([]), day(30)) is None


def test_region_and_channel_are_those_of_the_first_order_where_the_account_names_none(world):
    """What the first order named is known from its moment on; an account's own word comes first."""
    placed = replace(
        world,
        accounts=history_of([], accounts=[("a", "A", None, None, None, "Rep")]).accounts,
        places=frame([("a", day(10), "North", "Web")], PLACE_TYPES),
    )
    found = customer_features(placed, AS_OF, horizon_days=90)
    assert found.select("region", "channel", "industry").row(0) == ("North", "Rep", None)
    earlier = replace(placed, places=frame([("a", AS_OF, "North", "Web")], PLACE_TYPES))
    assert customer_features(earlier, AS_OF, horizon_days=90)["region"].to_list() == [None]
    assert cut_customers(earlier, AS_OF).places.is_empty()


def test_attributes_and_custom_fields_are_those_of_the_moment(engine):
    """Categories and flags are read, numbers and personal fields are not; a value changed later is the one before."""
    custom = {"plan": "category", "partner": "boolean", "limit": "number", "phone": "category"}
    with unit_of_work(engine) as session:
        session.execute(
            insert(CustomField), [{"kind": "account", "name": name, "type": kind} for name, kind in custom.items()]
        )
        given = {"plan": "gold", "partner": True, "limit": 5, "phone": "1"}
        session.add(Account(id="a", external_id="a", size="large", custom=given))
        session.execute(
            insert(Change),
            [
                {
                    "kind": "account",
                    "record_id": "a",
                    "field": field,
                    "changed_at": AS_OF,
                    "old_value": old,
                    "new_value": new,
                    "origin": "api",
                }
                for field, old, new in (("size", "small", "large"), ("custom.plan", "basic", "gold"))
            ],
        )
    with unit_of_work(engine) as session:
        found = read_customers(session)
    later, known = (account_attributes(found, moment) for moment in (day(101), AS_OF))
    assert "custom_limit" not in known.columns
    assert later.select("size", "custom_plan", "custom_partner").row(0) == ("large", "gold", "true")
    assert known.select("size", "custom_plan", "custom_partner").row(0) == ("small", "basic", "true")
    assert_frame_equal(account_attributes(cut_customers(found, AS_OF), day(101)), known)
