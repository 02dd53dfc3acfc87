"""What the company decides: how scores become grades, and how accounts are followed up."""

from datetime import datetime

from sqlalchemy import BigInteger, Float, Identity, Text, func
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Table, fixed


class GradePolicy(Table):
    """Thresholds between high, medium and low; the newest row of a pipeline is in force.

    Probabilities are 0-1, expected values in the currency of the amounts. Where an expected-value threshold is empty,
    grades follow from the probability alone; where a rating's is, ratings don't count.
    """

    __tablename__ = "grade_policy"

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    pipeline_id: Mapped[str] = fixed(Text, default="default", server_default="default")
    probability_high: Mapped[float] = fixed(Float)
    probability_medium: Mapped[float] = fixed(Float)
    expected_value_high: Mapped[float | None] = fixed(Float)
    expected_value_medium: Mapped[float | None] = fixed(Float)
    rating_high: Mapped[float | None] = fixed(Float)
    rating_low: Mapped[float | None] = fixed(Float)
    decided_at: Mapped[datetime] = fixed(MOMENT, server_default=func.now())
    decided_by: Mapped[str | None] = fixed(Text)


class StrategyPolicy(Table):
    """How accounts of a tier and potential are followed up; the newest row of the two is in force.

    A text that is empty is the one that comes with the product.
    """

    __tablename__ = "strategy_policy"

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    tier: Mapped[str] = fixed(Text)
    potential: Mapped[str] = fixed(Text)
    text_en: Mapped[str | None] = fixed(Text)
    text_zh: Mapped[str | None] = fixed(Text)
    decided_at: Mapped[datetime] = fixed(MOMENT, server_default=func.now())
    decided_by: Mapped[str | None] = fixed(Text)
