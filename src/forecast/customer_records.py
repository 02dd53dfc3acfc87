"""Read stored orders, accounts and events into the frames that customers' features are made of."""

from datetime import datetime
from decimal import Decimal

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.customers import ATTRIBUTES, CustomerHistory, cut_customers
from forecast.dealings import read_ratings
from forecast.records import Account, Activity, Case, Opportunity, Order, OrderLine, Product, Score
from forecast.store import read_frame


def read_customers(session: Session, *, until: datetime | None = None) -> CustomerHistory:
    """Read all customers, cut at `until` where one is given; tombstoned records and orders without a moment are left out.

    An account without a row of its own counts, if it has orders.
    """
    accounts = sa.select(
        Account.id.label("account_id"),
        Account.name,
        Account.created_at,
        *(getattr(Account, name) for name in ATTRIBUTES),
    ).where(Account.deleted_at.is_(None))
    history = CustomerHistory(
        orders=_orders(session),
        accounts=read_frame(session, accounts).sort("account_id"),
        events=read_frame(session, _events()),
        lines=read_frame(session, _lines()),
        ratings=read_ratings(session),
        pipeline=read_frame(session, _pipeline()),
        win_scores=read_frame(session, _win_scores()),
        warnings=_warnings(session),
    )
    return history if until is None else cut_customers(history, until)


_KNOWN_ORDER = (Order.account_id.is_not(None), Order.ordered_at.is_not(None), Order.deleted_at.is_(None))


def _orders(session: Session) -> pl.DataFrame:
    """Read orders by account and moment; an order without a cost of its own has that of its lines, if all are known."""
    piece = OrderLine.quantity * Product.unit_cost
    of_lines = (
        sa.select(
            OrderLine.order_id, sa.case((sa.func.count() == sa.func.count(piece), sa.func.sum(piece))).label("cost")
        )
        .join(Product, sa.and_(Product.id == OrderLine.product_id, Product.deleted_at.is_(None)), isouter=True)
        .where(OrderLine.deleted_at.is_(None))
        .group_by(OrderLine.order_id)
        .subquery()
    )
    columns = (
        Order.account_id,
        Order.ordered_at,
        Order.amount,
        sa.func.coalesce(Order.cost, of_lines.c.cost).label("cost"),
    )
    statement = sa.select(*columns).outerjoin(of_lines, of_lines.c.order_id == Order.id).where(*_KNOWN_ORDER)
    orders = read_frame(session, statement).sort("account_id", "ordered_at")
    return orders.drop("cost") if orders["cost"].is_null().all() else orders


def _lines() -> sa.Select[str | None, datetime | None, str | None]:
    return (
        sa.select(Order.account_id, Order.ordered_at.label("happened_at"), OrderLine.product_id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(
            *_KNOWN_ORDER,
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
