"""Revenue forecasts as they were made, kept so that any two can be compared and each can be judged later."""

from datetime import date, datetime

from sqlalchemy import REAL, BigInteger, Date, Float, Identity, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Table, fixed


class ForecastRun(Table):
    """One forecast as of one moment; `digest` is the SHA-256 of its numbers, so that the same one is kept once."""

    __tablename__ = "forecast_run"
    __table_args__ = (
        Index("uq_forecast_run", "as_of", "version", "digest", unique=True, postgresql_nulls_not_distinct=True),
    )

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    version: Mapped[str | None] = fixed(Text)
    as_of: Mapped[datetime] = fixed(MOMENT)
    currency: Mapped[str | None] = fixed(Text)
    remarks: Mapped[list[str]] = fixed(JSONB, default=list, server_default="[]")
    digest: Mapped[str] = fixed(Text)
    kept_at: Mapped[datetime] = fixed(MOMENT)


class ForecastCell(Table):
    """Revenue of one unit in one month, as `revenue.cells` has it; `month` is its first day."""

    __tablename__ = "forecast_cell"

    run_id: Mapped[int] = fixed(BigInteger, primary_key=True)
    level: Mapped[str] = fixed(Text, primary_key=True)
    unit_id: Mapped[str] = fixed(Text, primary_key=True)
    month: Mapped[date] = fixed(Date, primary_key=True)
    unit_name: Mapped[str | None] = fixed(Text)
    won: Mapped[float] = fixed(Float)
    open: Mapped[float] = fixed(Float)
    new: Mapped[float] = fixed(Float)
    series: Mapped[float | None] = fixed(Float)
    mean: Mapped[float] = fixed(Float)
    lo_50: Mapped[float] = fixed(Float)
    hi_50: Mapped[float] = fixed(Float)
    lo_80: Mapped[float] = fixed(Float)
    hi_80: Mapped[float] = fixed(Float)
    lo_95: Mapped[float] = fixed(Float)
    hi_95: Mapped[float] = fixed(Float)
    draws: Mapped[list[float]] = fixed(ARRAY(REAL))


class ForecastOpportunity(Table):
    """An opportunity that was open at a run's `as_of`, as it was seen then."""

    __tablename__ = "forecast_opportunity"

    run_id: Mapped[int] = fixed(BigInteger, primary_key=True)
    opportunity_id: Mapped[str] = fixed(Text, primary_key=True)
    name: Mapped[str | None] = fixed(Text)
    owner_id: Mapped[str | None] = fixed(Text)
    team_id: Mapped[str | None] = fixed(Text)
    stage: Mapped[str | None] = fixed(Text)
    amount: Mapped[float | None] = fixed(Float)
    currency: Mapped[str | None] = fixed(Text)
    expected_close_on: Mapped[date | None] = fixed(Date)
    forecast_category: Mapped[str | None] = fixed(Text)
    seller_probability: Mapped[float | None] = fixed(Float)
    win_probability: Mapped[float | None] = fixed(Float)
