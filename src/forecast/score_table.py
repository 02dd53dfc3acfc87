"""Write scores into the score table; the newest of each record is marked, the rest is history."""

import json

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Score
from forecast.store import copy_frame

_COLUMNS = ("as_of", "probability", "basis", "version", "expected_value", "grade")


def write_scores(session: Session, scores: pl.DataFrame, *, model: str, kind: str = "opportunity") -> None:
    """Add scores of opportunities, or of another kind of record, as `scoring.score_opportunities` gives them.

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
    reasons: list[str] = [
        json.dumps({"for": supporting, "against": opposing}, ensure_ascii=False)
        for supporting, opposing in scores.select("reasons_for", "reasons_against").iter_rows()
    ]
    return scores.select(
        pl.lit(model).alias("model"),
        pl.lit(kind).alias("kind"),
        pl.col("opportunity_id").alias("record_id"),
        *_COLUMNS,
        pl.Series("reasons", reasons, dtype=pl.String),
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
    "INSERT INTO score (model, version, kind, record_id, as_of, probability, basis, expected_value, grade, reasons, latest)"
    " SELECT n.model, n.version, n.kind, n.record_id, n.as_of, n.probability, n.basis, n.expected_value, n.grade, n.reasons,"
    " row_number() OVER (PARTITION BY n.record_id ORDER BY n.as_of DESC) = 1"
    " AND NOT EXISTS (SELECT FROM score s WHERE s.latest AND s.model = n.model AND s.record_id = n.record_id)"
    " FROM new_score n ORDER BY n.record_id, n.as_of"
)
