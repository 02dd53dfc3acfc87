"""Read stored orders, accounts and events into the frames that customers' features are made of."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from forecast.customers import ATTRIBUTES, CUSTOM_PREFIX, CustomerHistory, cut_customers
from forecast.history.dealings import read_ratings
from forecast.records import (
    IS_CANCELLED,
    PERSONAL_FIELDS,
    Account,
    Activity,
    Case,
    Change,
    CustomField,
    Opportunity,
    Order,
    OrderLine,
    Product,
    Score,
)
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.store import read_frame


def read_customers(session: Session, *, until: datetime | None = None) -> CustomerHistory:
    """Read all customers, cut at `until` where one is given; tombstoned records and orders without a moment are left out.

    An account without a row of its own counts, if it has orders.
    """
    custom = _custom_fields(session)
    accounts = sa.select(
        Account.id.label("account_id"),
        Account.name,
        Account.created_at,
        *(getattr(Account, name) for name in ATTRIBUTES),
        *(Account.custom.op("->>", return_type=sa.Text())(name).label(CUSTOM_PREFIX + name) for name in custom),
    ).where(Account.deleted_at.is_(None))
    history = CustomerHistory(
        orders=_orders(session),
        accounts=read_frame(session, accounts).sort("account_id"),
        account_changes=_account_changes(session, custom),
        events=read_frame(session, _events()),
        lines=read_frame(session, _lines()),
        places=read_frame(session, first_places()),
        cancelled=_cancelled(session),
        ratings=read_ratings(session),
        pipeline=read_frame(session, _pipeline()),
        win_scores=read_frame(session, _win_scores()),
        warnings=_warnings(session),
    )
    return history if until is None else cut_customers(history, until)


def _custom_fields(session: Session) -> list[str]:
    """Name the custom fields of accounts that name one of several things; numbers and dates too often sum up what was bought."""
    declared = (
        sa.select(CustomField.name)
        .where(CustomField.kind == "account", CustomField.time != "outcome", CustomField.name.not_in(PERSONAL_FIELDS))
        .where(CustomField.type.in_(("category", "boolean")))
    )
    return list(session.scalars(declared.order_by(CustomField.name)))


def _account_changes(session: Session, custom: Sequence[str]) -> pl.DataFrame:
    fields = {**{name: name for name in ATTRIBUTES}, **{f"custom.{name}": CUSTOM_PREFIX + name for name in custom}}
    statement = sa.select(*(getattr(Change, name) for name in CHANGE_TYPES), Change.id).where(
        Change.kind == "account", Change.field.in_(fields)
    )
    found = read_frame(session, statement).sort("changed_at", "id").drop("id")
    return found.with_columns(pl.col("field").replace(fields))


_KNOWN_ORDER = (Order.account_id.is_not(None), Order.ordered_at.is_not(None), Order.deleted_at.is_(None))
IS_PURCHASE = (*_KNOWN_ORDER, ~IS_CANCELLED)


def _orders(session: Session) -> pl.DataFrame:
    """Read orders by account and moment."""
    orders = read_frame(session, worth_of_orders().where(*IS_PURCHASE)).sort("account_id", "ordered_at")
    return orders.drop("cost") if orders["cost"].is_null().all() else orders


def worth_of_orders() -> sa.Select[str | None, datetime | None, Decimal, Decimal]:
    """Select `account_id, ordered_at, amount, cost` of orders; without an amount, one is worth its lines of known prices.

    An order without a cost of its own has that of its lines, if all are known.
    """
    lines = _sums_of_lines()
    return sa.select(
        Order.account_id,
        Order.ordered_at,
        sa.func.coalesce(Order.amount, lines.c.worth).label("amount"),
        sa.func.coalesce(Order.cost, lines.c.cost).label("cost"),
    ).outerjoin(lines, lines.c.order_id == Order.id)


def _sums_of_lines() -> sa.Subquery:
    """Select `order_id, worth, cost` of orders with lines; the cost is missing unless that of every line is known."""
    price = OrderLine.unit_price * (1 - sa.func.coalesce(sa.cast(OrderLine.discount_share, sa.Numeric), 0))
    worth = sa.func.coalesce(OrderLine.amount, sa.cast(OrderLine.quantity, sa.Numeric) * price)
    cost = OrderLine.quantity * Product.unit_cost
    return (
        sa.select(
            OrderLine.order_id,
            sa.cast(sa.func.sum(worth), Order.amount.type).label("worth"),
            sa.case((sa.func.count() == sa.func.count(cost), sa.func.sum(cost))).label("cost"),
        )
        .join(Product, sa.and_(Product.id == OrderLine.product_id, Product.deleted_at.is_(None)), isouter=True)
        .where(OrderLine.deleted_at.is_(None))
        .group_by(OrderLine.order_id)
        .subquery()
    )


def first_places() -> sa.Select[str | None, datetime | None, str | None, str | None]:
    """Select `account_id, happened_at, region, channel` of each account's first order that names a region or a channel."""
    return (
        sa.select(Order.account_id, Order.ordered_at.label("happened_at"), Order.region, Order.channel)
        .where(*IS_PURCHASE, sa.or_(Order.region.is_not(None), Order.channel.is_not(None)))
        .ext(distinct_on(Order.account_id))
        .order_by(Order.account_id, Order.ordered_at, Order.id)
    )


def _cancelled(session: Session) -> pl.DataFrame:
    found = read_frame(session, worth_of_orders().where(*_KNOWN_ORDER, IS_CANCELLED))
    return found.rename({"ordered_at": "happened_at"}).drop("cost")


def _lines() -> sa.Select[str | None, datetime | None, str | None]:
    return (
        sa.select(Order.account_id, Order.ordered_at.label("happened_at"), OrderLine.product_id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(
            *IS_PURCHASE,
            OrderLine.product_id.is_not(None),
            OrderLine.deleted_at.is_(None),
            sa.func.coalesce(OrderLine.quantity, 1) > 0,
        )
    )


def _pipeline() -> sa.Select[str | None, str, datetime | None, datetime | None, str, Decimal | None]:
    return sa.select(
        Opportunity.account_id,
        Opportunity.id.label("opportunity_id"),
        Opportunity.created_at,
        Opportunity.closed_at,
        Opportunity.status,
        Opportunity.amount,
    ).where(Opportunity.account_id.is_not(None), Opportunity.created_at.is_not(None), Opportunity.deleted_at.is_(None))


def _win_scores() -> sa.Select[str, datetime, float]:
    return sa.select(Score.record_id.label("opportunity_id"), Score.as_of, Score.probability).where(
        Score.model == "win_probability"
    )


def _events() -> sa.Select[tuple[str, datetime, str]]:
    """Select what happened with accounts; the subquery is needed as COPY takes one SELECT of named columns."""
    moments = {"case": Case.created_at, "activity": Activity.occurred_at, "opportunity": Opportunity.created_at}
    parts = [
        sa.select(
            column.class_.account_id.label("account_id"),
            column.label("happened_at"),
            sa.literal(kind, sa.Text(), literal_execute=True).label("kind"),
        ).where(column.class_.account_id.is_not(None), column.is_not(None), column.class_.deleted_at.is_(None))
        for kind, column in moments.items()
    ]
    every = sa.union_all(*parts).subquery("event")
    return sa.select(every.c.account_id, every.c.happened_at, every.c.kind)


def _warnings(session: Session) -> tuple[str, ...]:
    found = session.scalars(sa.select(Order.currency).where(Order.currency.is_not(None)).distinct())
    currencies = sorted(currency for currency in found if currency)
    if len(currencies) < 2:
        return ()
    return (f"orders are in {len(currencies)} currencies ({', '.join(currencies)}) and are added up as they are",)
