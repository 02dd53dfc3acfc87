"""Read what is stored of sales."""

from collections.abc import Mapping

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.history import read_history
from forecast.records import Order, OrderLine, Person, Product, Team
from forecast.revenue.cells import PERSON, PRODUCT, REGION, TEAM
from forecast.revenue.records import SalesRecords
from forecast.store import read_frame


def read_sales_records(session: Session, *, timezone: str) -> SalesRecords:
    """Read opportunities, orders and the units that they belong to."""
    history = read_history(session)
    people = read_frame(session, sa.select(Person.id, Person.team_id, Person.name))
    teams = read_frame(session, sa.select(Team.id, Team.region, Team.name))
    products = read_frame(session, sa.select(Product.id, Product.line, Product.family, Product.name))
    lines = products.select(
        pl.col("id").alias("product_id"), pl.coalesce("line", "family", "name", "id").alias(PRODUCT)
    )
    owned = history.opportunities.select(pl.col("owner_id").alias("id"), pl.col("team_id")).drop_nulls()
    usual_team = owned.group_by("id").agg(pl.col("team_id").mode().sort().first().alias("usual_team"))
    placed = people.join(usual_team, on="id", how="full", coalesce=True).select(
        pl.col("id").alias(PERSON), pl.coalesce("team_id", "usual_team").alias(TEAM)
    )
    return SalesRecords(
        history=history,
        orders=_read_orders(session, lines),
        people=placed,
        products=lines,
        teams=teams.select(pl.col("id").alias(TEAM), pl.col("region").alias(REGION)),
        names={**_names(PERSON, people), **_names(TEAM, teams)},
        timezone=timezone,
    )


def _read_orders(session: Session, lines: pl.DataFrame) -> pl.DataFrame:
    orders = read_frame(
        session,
        sa.select(
            Order.id,
            *(Order.opportunity_id, Order.account_id, Order.owner_id, Order.ordered_at),
            *(Order.amount, Order.currency, Order.region, Order.status),
        ).where(Order.deleted_at.is_(None)),
    )
    parts = read_frame(session, sa.select(OrderLine.order_id, OrderLine.product_id, OrderLine.amount))
    largest = (
        parts.join(lines, on="product_id")
        .sort("amount", descending=True, nulls_last=True)
        .unique("order_id", keep="first", maintain_order=True)
        .select(pl.col("order_id").alias("id"), PRODUCT)
    )
    return orders.join(largest, on="id", how="left", maintain_order="left").drop("id")


def _names(level: str, rows: pl.DataFrame) -> Mapping[tuple[str, str], str]:
    return {(level, unit): name for unit, name in rows.select("id", "name").iter_rows() if name}
