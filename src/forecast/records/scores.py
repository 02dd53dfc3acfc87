"""What the models said, kept with its history."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Table, outcome


class Score(Table):
    """One score of one record at one moment; `latest` marks the newest of a record and model.

    `reasons` holds {"for": [...], "against": [...], "base": …, "themes": [...]}, contributions in log-odds; base and themes
    add up to those of the probability. Four times in five the true probability lies between `probability_low` and
    `probability_high`. `trend` compares with the scores before. `closing` holds {"expected_close_on", "low", "high", "probability_of_slipping",
    "won_by": [{"month_end", "probability"}, ...]}; it is missing where the version has no win curve.
    """

    __tablename__ = "score"
    __table_args__ = (
        Index("ix_score_record", "model", "record_id", "as_of"),
        Index("uq_score_latest", "model", "record_id", unique=True, postgresql_where=text("latest")),
        Index(
            "ix_score_expected_value",
            "model",
            text("expected_value DESC NULLS LAST"),
            "record_id",
            postgresql_where=text("latest"),
        ),
    )

    id: Mapped[int] = outcome(BigInteger, Identity(), primary_key=True)
    model: Mapped[str] = outcome(Text)
    version: Mapped[str] = outcome(Text)
    kind: Mapped[str] = outcome(Text)
    record_id: Mapped[str] = outcome(Text)
    as_of: Mapped[datetime] = outcome(MOMENT)
    probability: Mapped[float] = outcome(Float)
    probability_low: Mapped[float | None] = outcome(Float)
    probability_high: Mapped[float | None] = outcome(Float)
    basis: Mapped[str] = outcome(Text)
    expected_value: Mapped[float | None] = outcome(Float)
    grade: Mapped[str] = outcome(Text)
    trend: Mapped[str | None] = outcome(Text)
    reasons: Mapped[dict[str, Any]] = outcome(JSONB, default=dict, server_default="{}")
    closing: Mapped[dict[str, Any] | None] = outcome(JSONB(none_as_null=True))
    latest: Mapped[bool] = outcome(Boolean, default=True, server_default="true")
    scored_at: Mapped[datetime] = outcome(MOMENT, server_default=func.now())
