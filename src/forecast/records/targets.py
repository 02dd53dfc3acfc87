"""What is to be reached: quotas."""

from datetime import date
from decimal import Decimal

from sqlalchemy import Date, Text
from sqlalchemy.orm import Mapped

from forecast.records.record import MONEY, Record, fixed, tracked


class Quota(Record):
    """A target of a person or a team for a period; `ends_on` is the period's last day."""

    __tablename__ = "quota"

    person_id: Mapped[str | None] = fixed(Text)
    team_id: Mapped[str | None] = fixed(Text)
    starts_on: Mapped[date | None] = fixed(Date)
    ends_on: Mapped[date | None] = fixed(Date)
    metric: Mapped[str] = fixed(Text, default="revenue", server_default="revenue")
    amount: Mapped[Decimal | None] = tracked(MONEY)
    currency: Mapped[str | None] = fixed(Text)
