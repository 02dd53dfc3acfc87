"""What was booked, by level, unit and month, as the revenue forecast counts it."""

from datetime import datetime
from types import MappingProxyType

import polars as pl

from forecast.errors import TooLittleHistoryError
from forecast.revenue.cells import COMPANY, LEVELS, PERSON, PRODUCT, REGION, TEAM
from forecast.revenue.records import SalesRecords, read_sales

BOOKING_TYPES = pl.Schema(
    {
        "owner_id": pl.String(),
        "team_id": pl.String(),
        "region": pl.String(),
        "product": pl.String(),
        "booked_on": pl.Date(),
        "month": pl.Date(),
        "amount": pl.Float64(),
    }
)
BOOKED_TYPES = pl.Schema({"level": pl.String(), "unit_id": pl.String(), "month": pl.Date(), "won": pl.Float64()})
# The column of a booking or a deal that names its unit of a level; all of them are the company's.
UNIT_COLUMNS = MappingProxyType({TEAM: "team_id", PERSON: "owner_id", REGION: "region", PRODUCT: "product"})


def unit_of(level: str) -> pl.Expr:
    """Select `unit_id`, the unit of a level that a booking or a deal counts for; "" is the company's."""
    return (pl.lit("") if level == COMPANY else pl.col(UNIT_COLUMNS[level])).alias("unit_id")


def find_bookings(records: SalesRecords, until: datetime, *, currency: str | None) -> pl.DataFrame:
    """Give everything that was booked before a moment in a currency, as BOOKING_TYPES; by `revenue.currencies`.

    Raises:
        InputError: amounts are in several currencies, and none was named.
    """
    try:
        sales = read_sales(records, until, currency=currency)
    except TooLittleHistoryError:
        return pl.DataFrame(schema=BOOKING_TYPES)
    day = pl.col("booked_at").dt.convert_time_zone(records.timezone).dt.date()
    return (
        sales.booked.rename({PERSON: "owner_id", TEAM: "team_id"})
        .with_columns(day.alias("booked_on"), day.dt.truncate("1mo").alias("month"))
        .select(pl.col(name).cast(kind) for name, kind in BOOKING_TYPES.items())
    )


def sum_bookings(bookings: pl.DataFrame) -> pl.DataFrame:
    """Add bookings up by level, unit and month, as BOOKED_TYPES, sorted; months without revenue have no row."""
    sums = [
        bookings.group_by(pl.lit(level).alias("level"), unit_of(level), "month").agg(won=pl.col("amount").sum())
        for level in LEVELS
    ]
    return pl.concat(sums).sort("level", "unit_id", "month").cast(BOOKED_TYPES)
