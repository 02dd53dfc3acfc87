"""Who buys: accounts and their contacts."""

from decimal import Decimal

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.orm import Mapped

from forecast.records.record import MONEY, Record, tracked


class Account(Record):
    """A customer or a company that may become one."""

    __tablename__ = "account"

    name: Mapped[str | None] = tracked(Text)
    industry: Mapped[str | None] = tracked(Text)
    region: Mapped[str | None] = tracked(Text)
    country: Mapped[str | None] = tracked(Text)
    channel: Mapped[str | None] = tracked(Text)
    size: Mapped[str | None] = tracked(Text)
    employees: Mapped[int | None] = tracked(BigInteger)
    annual_revenue: Mapped[Decimal | None] = tracked(MONEY)
    founded_year: Mapped[int | None] = tracked(Integer)
    domain: Mapped[str | None] = tracked(Text)
    phone: Mapped[str | None] = tracked(Text)
    owner_id: Mapped[str | None] = tracked(Text)
    parent_id: Mapped[str | None] = tracked(Text)


class Contact(Record):
    """A person at an account."""

    __tablename__ = "contact"

    account_id: Mapped[str | None] = tracked(Text, index=True)
    name: Mapped[str | None] = tracked(Text)
    title: Mapped[str | None] = tracked(Text)
    email: Mapped[str | None] = tracked(Text)
    phone: Mapped[str | None] = tracked(Text)
    decision_role: Mapped[str | None] = tracked(Text)
