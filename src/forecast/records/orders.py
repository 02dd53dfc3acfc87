"""What is sold: products, quotes, orders."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Boolean, Date, Float, Integer, Text, and_, func
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, MONEY, Record, fixed, outcome, tracked


class Product(Record):
    """Something that is sold."""

    __tablename__ = "product"

    name: Mapped[str | None] = fixed(Text)
    family: Mapped[str | None] = fixed(Text)
    line: Mapped[str | None] = fixed(Text)
    list_price: Mapped[Decimal | None] = tracked(MONEY)
    unit_cost: Mapped[Decimal | None] = tracked(MONEY)
    currency: Mapped[str | None] = fixed(Text)
    active: Mapped[bool | None] = tracked(Boolean)


class Quote(Record):
    """An offer of a price."""

    __tablename__ = "quote"

    opportunity_id: Mapped[str | None] = fixed(Text, index=True)
    account_id: Mapped[str | None] = fixed(Text)
    amount: Mapped[Decimal | None] = fixed(MONEY)
    discount_share: Mapped[float | None] = fixed(Float)
    currency: Mapped[str | None] = fixed(Text)
    valid_until: Mapped[date | None] = fixed(Date)
    status: Mapped[str | None] = outcome(Text)


class Order(Record):
    """A purchase; `ordered_at` is its moment."""

    __tablename__ = "order"

    account_id: Mapped[str | None] = fixed(Text, index=True)
    opportunity_id: Mapped[str | None] = fixed(Text)
    owner_id: Mapped[str | None] = fixed(Text)
    team_id: Mapped[str | None] = fixed(Text)
    ordered_at: Mapped[datetime | None] = fixed(MOMENT)
    amount: Mapped[Decimal | None] = fixed(MONEY)
    cost: Mapped[Decimal | None] = fixed(MONEY)
    quantity: Mapped[float | None] = fixed(Float)
    currency: Mapped[str | None] = fixed(Text)
    region: Mapped[str | None] = fixed(Text)
    channel: Mapped[str | None] = fixed(Text)
    status: Mapped[str | None] = outcome(Text)


CANCELLED = (
    "cancel", "cancelled", "canceled", "void", "voided", "draft", "quotation", "quotation sent", "取消", "已取消", "作废", "已作废",
    "草稿", "报价单", "报价单已发送",
)  # fmt: skip
"""Statuses, in small letters and without spaces around them, of orders that are no sale."""
IS_CANCELLED = and_(
    func.lower(func.trim(func.coalesce(Order.status, ""))).in_(CANCELLED),
    func.coalesce(Order.amount, 0) >= 0,  # below 0 it takes back another order, which stands as it was
)


class OrderLine(Record):
    """One product of an order; a return has a negative quantity."""

    __tablename__ = "order_line"

    order_id: Mapped[str | None] = fixed(Text, index=True)
    product_id: Mapped[str | None] = fixed(Text)
    position: Mapped[int | None] = fixed(Integer)
    quantity: Mapped[float | None] = fixed(Float)
    unit_price: Mapped[Decimal | None] = fixed(MONEY)
    amount: Mapped[Decimal | None] = fixed(MONEY)
    discount_share: Mapped[float | None] = fixed(Float)
