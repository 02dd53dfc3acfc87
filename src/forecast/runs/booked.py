"""What was booked, by level, unit and month."""

from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import TooLittleHistoryError
from forecast.records import Opportunity, Order, Person
from forecast.revenue.cells import COMPANY, NO_UNIT, PERSON, TEAM
from forecast.rollup import booked_revenue
from forecast.store import read_frame

BOOKED_TYPES = pl.Schema({"level": pl.String(), "unit_id": pl.String(), "month": pl.Date(), "won": pl.Float64()})


def read_booked(session: Session, until: datetime, *, currency: str | None, timezone: str) -> pl.DataFrame:
    """Read what was booked before a moment, by company, team and person.

    Revenue is that of orders, or of won opportunities where there are no orders; teams are those of the persons as they
    are now.

    Returns:
        As BOOKED_TYPES, sorted; months without revenue have no row. Empty where nothing was booked.

    Raises:
        InputError: amounts are in several currencies, and none was named.
    """
    try:
        bookings = read_bookings(session, until, currency=currency, timezone=timezone)
    except TooLittleHistoryError:
        return pl.DataFrame(schema=BOOKED_TYPES)
    units = {COMPANY: pl.lit(""), TEAM: pl.col("team_id"), PERSON: pl.col("owner_id")}
    sums = [
        bookings.group_by(pl.lit(level).alias("level"), unit.alias("unit_id"), "month").agg(won=pl.col("amount").sum())
        for level, unit in units.items()
    ]
    return pl.concat(sums).sort("level", "unit_id", "month").cast(BOOKED_TYPES)


def read_bookings(session: Session, until: datetime, *, currency: str | None, timezone: str) -> pl.DataFrame:
    """Read `owner_id, team_id, booked_on, month, amount` of everything booked before a moment.

    Raises:
        TooLittleHistoryError: nothing was booked.
        InputError: amounts are in several currencies, and none was named.
    """
    ordered = sa.select(Order.owner_id, Order.ordered_at, Order.amount, Order.currency, Order.status)
    won = sa.select(
        Opportunity.owner_id,
        Opportunity.closed_at,
        Opportunity.amount,
        Opportunity.won_amount,
        Opportunity.currency,
        Opportunity.status,
    )
    booked, _ = booked_revenue(
        read_frame(session, ordered.where(Order.deleted_at.is_(None))),
        read_frame(session, won.where(Opportunity.status == "won", Opportunity.deleted_at.is_(None))),
        as_of=until,
        currency=currency,
    )
    people = read_frame(session, sa.select(Person.id.label("owner_id"), Person.team_id))
    day = pl.col("booked_at").dt.convert_time_zone(timezone).dt.date()
    return booked.join(people, on="owner_id", how="left", maintain_order="left").select(
        pl.col("owner_id").fill_null(NO_UNIT[PERSON]),
        pl.col("team_id").fill_null(NO_UNIT[TEAM]),
        day.alias("booked_on"),
        day.dt.truncate("1mo").alias("month"),
        pl.col("amount").cast(pl.Float64),
    )
