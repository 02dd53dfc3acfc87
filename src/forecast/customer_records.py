"""Read stored orders, accounts and events into the frames that customers' features are made of."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.customers import ATTRIBUTES, CustomerHistory, cut_customers
from forecast.records import Account, Activity, Case, Opportunity, Order
from forecast.store import read_frame


def read_customers(session: Session, *, until: datetime | None = None) -> CustomerHistory:
    """Read all customers, cut at `until` where one is given; tombstoned records and orders without a moment are left out.

    An account without a row of its own counts, if it has orders.
    """
    orders = sa.select(Order.account_id, Order.ordered_at, Order.amount).where(
        Order.account_id.is_not(None), Order.ordered_at.is_not(None), Order.deleted_at.is_(None)
    )
    accounts = sa.select(
        Account.id.label("account_id"), Account.name, *(getattr(Account, name) for name in ATTRIBUTES)
    ).where(Account.deleted_at.is_(None))
    history = CustomerHistory(
        orders=read_frame(session, orders).sort("account_id", "ordered_at"),
        accounts=read_frame(session, accounts).sort("account_id"),
        events=read_frame(session, _events()),
        warnings=_warnings(session),
    )
    return history if until is None else cut_customers(history, until)


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
