"""After the sale: cases and feedback."""

from datetime import datetime

from sqlalchemy import Float, Text
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Record, fixed, outcome, tracked


class Case(Record):
    """A question or complaint of a customer."""

    __tablename__ = "case"

    account_id: Mapped[str | None] = fixed(Text, index=True)
    contact_id: Mapped[str | None] = fixed(Text)
    product_id: Mapped[str | None] = fixed(Text)
    type: Mapped[str | None] = fixed(Text)
    subject: Mapped[str | None] = fixed(Text)
    priority: Mapped[str | None] = tracked(Text)
    status: Mapped[str | None] = outcome(Text)
    closed_at: Mapped[datetime | None] = outcome(MOMENT)


class Feedback(Record):
    """What a customer said of us; `satisfaction` on the scale of its survey, named by `scale`."""

    __tablename__ = "feedback"

    account_id: Mapped[str | None] = fixed(Text, index=True)
    contact_id: Mapped[str | None] = fixed(Text)
    case_id: Mapped[str | None] = fixed(Text)
    satisfaction: Mapped[float | None] = fixed(Float)
    scale: Mapped[str | None] = fixed(Text)
    comment: Mapped[str | None] = fixed(Text)
