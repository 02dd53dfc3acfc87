"""Dealings with accounts as frames of a history: quotes, contacts, orders, cases and feedback."""

from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Case, Contact, Feedback, Opportunity, Order, Quote
from forecast.records.record import MOMENT
from forecast.snapshot.frames import ACCOUNT_EVENT_TYPES, CONTACT_TYPES, QUOTE_TYPES
from forecast.store import Statement, read_frame


def read_quotes(session: Session) -> pl.DataFrame:
    """Read the quotes of opportunities whose moment is known, as QUOTE_TYPES, in order."""
    statement = sa.select(
        Quote.opportunity_id, Quote.created_at.label("known_at"), Quote.amount, Quote.discount_share
    ).where(Quote.opportunity_id.is_not(None), Quote.created_at.is_not(None), Quote.deleted_at.is_(None))
    return _typed(read_frame(session, statement), QUOTE_TYPES).sort("known_at", "opportunity_id", "amount")


def read_contacts(session: Session) -> pl.DataFrame:
    """Read what is known of contacts, as CONTACT_TYPES; those deleted since too, as an earlier moment knew them."""
    statement = sa.select(
        Contact.id.label("contact_id"),
        Contact.title.label("contact_title"),
        Contact.decision_role.label("contact_decision_role"),
    )
    return _typed(read_frame(session, statement), CONTACT_TYPES).sort("contact_id")


def read_account_events(session: Session) -> pl.DataFrame:
    """Read orders, cases and feedback, as ACCOUNT_EVENT_TYPES."""
    parts = [
        _orders(session),
        read_frame(session, _dated(Case, "case")),
        _feedback(session),
    ]
    whole = [part.with_columns(pl.lit(None, pl.String).alias("opportunity_id"), count=1) for part in parts]
    return pl.concat([_typed(part, ACCOUNT_EVENT_TYPES) for part in whole])


def _orders(session: Session) -> pl.DataFrame:
    """Read orders; one that came of an opportunity counts once that had closed, as it tells the outcome until then."""
    statement = (
        sa.select(
            Order.account_id,
            sa.literal("order", literal_execute=True).label("kind"),
            sa.func.greatest(Order.ordered_at, Opportunity.closed_at, type_=MOMENT).label("happened_at"),
            Order.amount,
        )
        .outerjoin(Opportunity, Opportunity.id == Order.opportunity_id)
        .where(
            Order.account_id.is_not(None),
            Order.ordered_at.is_not(None),
            Order.deleted_at.is_(None),
            sa.or_(Opportunity.id.is_(None), Opportunity.closed_at.is_not(None)),
        )
    )
    return read_frame(session, statement).with_columns(pl.col("amount").fill_null(0))


def read_ratings(session: Session) -> pl.DataFrame:
    """Read `account_id, happened_at, satisfaction`: a place on its scale, such as 1-5 or 10 (from 0); on another it is left out."""
    statement = _dated(Feedback, "feedback").add_columns(Feedback.satisfaction, Feedback.scale)
    ends = pl.col("scale").str.extract_all(r"\d+").cast(pl.List(pl.Float64))
    low = pl.when(ends.list.len() > 1).then(ends.list.first()).otherwise(0.0)
    share = (pl.col("satisfaction") - low) / (ends.list.last() - low)
    found = read_frame(session, statement).with_columns(share.alias("satisfaction"))
    return found.filter(pl.col("satisfaction").is_between(0, 1)).select("account_id", "happened_at", "satisfaction")


def _feedback(session: Session) -> pl.DataFrame:
    return read_ratings(session).with_columns(pl.lit("feedback").alias("kind"), pl.col("satisfaction").alias("amount"))


def _dated(table: type[Any], kind: str) -> Statement:
    return sa.select(
        table.account_id,
        sa.literal(kind, literal_execute=True).label("kind"),
        table.created_at.label("happened_at"),
    ).where(table.account_id.is_not(None), table.created_at.is_not(None), table.deleted_at.is_(None))


def _typed(frame: pl.DataFrame, types: pl.Schema) -> pl.DataFrame:
    missing = [pl.lit(0.0).alias(name) for name in types if name not in frame.columns]
    return frame.with_columns(missing).select(types.names()).cast(types)
