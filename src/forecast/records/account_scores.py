"""What the customer model said of accounts, kept with its history."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Identity, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Table, outcome


class AccountScore(Table):
    """What one account is worth at one moment; `latest` marks the newest of an account.

    `reasons` is a list of {feature, value, usual, contribution}, the contribution to the log of expected revenue;
    `alerts` one of {kind, value, usual}, `next_products` one of {product_id, because, lift}.
    """

    __tablename__ = "account_score"
    __table_args__ = (
        Index("ix_account_score_account", "account_id", "as_of"),
        Index("uq_account_score_latest", "account_id", unique=True, postgresql_where=text("latest")),
        Index(
            "ix_account_score_value",
            text("expected_revenue DESC"),
            "account_id",
            postgresql_where=text("latest"),
        ),
        Index("ix_account_score_alerts", "account_id", postgresql_where=text("latest AND alerts <> '[]'::jsonb")),
    )

    id: Mapped[int] = outcome(BigInteger, Identity(), primary_key=True)
    version: Mapped[str] = outcome(Text)
    account_id: Mapped[str] = outcome(Text)
    as_of: Mapped[datetime] = outcome(MOMENT)
    horizon_days: Mapped[int] = outcome(Integer)
    probability_active: Mapped[float] = outcome(Float)
    expected_orders: Mapped[float] = outcome(Float)
    expected_orders_low: Mapped[float] = outcome(Float)
    expected_orders_high: Mapped[float] = outcome(Float)
    expected_revenue: Mapped[float] = outcome(Float)
    expected_revenue_low: Mapped[float] = outcome(Float)
    expected_revenue_high: Mapped[float] = outcome(Float)
    median_revenue: Mapped[float | None] = outcome(Float)
    expected_margin: Mapped[float | None] = outcome(Float)
    expected_margin_low: Mapped[float | None] = outcome(Float)
    expected_margin_high: Mapped[float | None] = outcome(Float)
    tier: Mapped[str] = outcome(Text)
    potential: Mapped[str] = outcome(Text)
    next_order_at: Mapped[datetime | None] = outcome(MOMENT)
    next_order_low: Mapped[datetime | None] = outcome(MOMENT)
    next_order_high: Mapped[datetime | None] = outcome(MOMENT)
    overdue: Mapped[bool] = outcome(Boolean)
    reasons: Mapped[list[dict[str, Any]]] = outcome(JSONB, default=list, server_default="[]")
    alerts: Mapped[list[dict[str, Any]]] = outcome(JSONB, default=list, server_default="[]")
    next_products: Mapped[list[dict[str, Any]]] = outcome(JSONB, default=list, server_default="[]")
    basis: Mapped[str] = outcome(Text)
    level: Mapped[str] = outcome(Text)
    latest: Mapped[bool] = outcome(Boolean, default=True, server_default="true")
    scored_at: Mapped[datetime] = outcome(MOMENT, server_default=func.now())
