"""Write scores into the score table; the newest of each record is marked, the rest is history."""

from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Score
from forecast.store import copy_frame, read_frame

PAST_SCORES = 4
PAST_DAYS = 180

_COLUMNS = (
    "as_of",
    "probability",
    "probability_low",
    "probability_high",
    "basis",
    "version",
    "expected_value",
    "grade",
    "trend",
)


def read_past_scores(
    session: Session, subjects: pl.DataFrame, *, model: str, decided_at: datetime | None
) -> pl.DataFrame:
    """Read what was said of each subject before its moment, for `scores.score_opportunities`.

    Args:
        session: an open transaction.
        subjects: `opportunity_id, as_of`.
        model: whose scores count.
        decided_at: of the grade policy in force; grades given before it don't count.

    Returns:
        `opportunity_id, as_of, last_grade, before`: the grade of the newest stored score before the moment, and the mean
        probability of the newest PAST_SCORES of the PAST_DAYS before it. Subjects without any have no row.
    """
    asked = subjects.select("opportunity_id", "as_of").drop_nulls().unique()
    if asked.is_empty():
        return pl.DataFrame(schema=_PAST_TYPES)
    grade = sa.case((Score.scored_at >= decided_at, Score.grade)) if decided_at else Score.grade
    statement = sa.select(
        Score.record_id.label("opportunity_id"),
        Score.as_of.label("said_at"),
        Score.probability,
        grade.label("grade"),
        Score.id,
    ).where(Score.model == model, Score.as_of < asked["as_of"].max())
    if asked.height <= _LISTED_MAX:
        statement = statement.where(Score.record_id.in_(asked["opportunity_id"].unique().to_list()))
    past = read_frame(session, statement).sort("said_at", "id")
    since = pl.col("as_of") - pl.duration(days=PAST_DAYS)
    return (
        asked.join(past, on="opportunity_id", maintain_order="right")
        .filter(pl.col("said_at") < pl.col("as_of"), pl.col("said_at") >= since)
        .group_by("opportunity_id", "as_of", maintain_order=True)
        .agg(pl.col("grade").last().alias("last_grade"), pl.col("probability").tail(PAST_SCORES).mean().alias("before"))
    )


_LISTED_MAX = 5_000
_PAST_TYPES = pl.Schema(
    {
        "opportunity_id": pl.String(),
        "as_of": pl.Datetime("us", "UTC"),
        "last_grade": pl.String(),
        "before": pl.Float64(),
    }
)


def write_scores(session: Session, scores: pl.DataFrame, *, model: str, kind: str = "opportunity") -> None:
    """Add scores of opportunities, or of another kind of record, as `scores.score_opportunities` gives them.

    A score of an earlier moment than the newest one kept is history at once. Scoring the same record, version and moment
    again replaces nothing and adds nothing.
    """
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"score {model}"))))
    session.execute(sa.text("CREATE TEMPORARY TABLE new_score (LIKE score INCLUDING DEFAULTS) ON COMMIT DROP"))
    session.execute(sa.text("ALTER TABLE new_score ALTER COLUMN id DROP NOT NULL"))
    new = sa.table("new_score", *(sa.column(column.name, column.type) for column in Score.__table__.columns))
    rows = scores.unique(["opportunity_id", "as_of", "version"], maintain_order=True)
    copy_frame(session, new, _rows(rows, model, kind))
    session.execute(_DROP_KNOWN)
    session.execute(_OUTDATE)
    session.execute(_ADD)
    session.execute(sa.text("DROP TABLE new_score"))


def _rows(scores: pl.DataFrame, model: str, kind: str) -> pl.DataFrame:
    told = pl.struct(
        pl.col("reasons_for").alias("for"), pl.col("reasons_against").alias("against"), "base", "themes"
    ).struct.json_encode()
    has_closing = pl.col("expected_close_on").is_not_null() & (kind == "opportunity")
    return scores.select(
        pl.lit(model).alias("model"),
        pl.lit(kind).alias("kind"),
        pl.col("opportunity_id").alias("record_id"),
        *_COLUMNS,
        pl.when(pl.col("base").is_not_null()).then(told).otherwise(pl.lit("{}")).alias("reasons"),
        pl.when(has_closing).then(_CLOSING.struct.json_encode()).alias("closing"),
    )


_CLOSING = pl.struct(
    "expected_close_on",
    pl.col("expected_close_low").alias("low"),
    pl.col("expected_close_high").alias("high"),
    "probability_of_slipping",
    "won_by",
)


_DROP_KNOWN = sa.text(
    "DELETE FROM new_score n USING score s"
    " WHERE s.model = n.model AND s.record_id = n.record_id AND s.version = n.version AND s.as_of = n.as_of"
)
_OUTDATE = sa.text(
    "UPDATE score s SET latest = false FROM new_score n"
    " WHERE s.latest AND s.model = n.model AND s.record_id = n.record_id AND s.as_of <= n.as_of"
)
_ADD = sa.text(
    "INSERT INTO score (model, version, kind, record_id, as_of, probability, probability_low, probability_high, basis,"
    " expected_value, grade, trend, reasons, closing, latest)"
    " SELECT n.model, n.version, n.kind, n.record_id, n.as_of, n.probability, n.probability_low, n.probability_high, n.basis,"
    " n.expected_value, n.grade, n.trend, n.reasons, n.closing,"
    " row_number() OVER (PARTITION BY n.record_id ORDER BY n.as_of DESC) = 1"
    " AND NOT EXISTS (SELECT FROM score s WHERE s.latest AND s.model = n.model AND s.record_id = n.record_id)"
    " FROM new_score n ORDER BY n.record_id, n.as_of"
)
