"""Write scores of accounts: into their table, where the newest of each is marked, or into a file."""

import json
from pathlib import Path

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.customer_wording import reason_sentence
from forecast.store import copy_frame

_MOMENTS = ("as_of", "next_order_at", "next_order_low", "next_order_high")


def write_account_scores(session: Session, scores: pl.DataFrame) -> None:
    """Add scores as `score_customers` gives them.

    A score of an earlier moment than the newest one kept is history at once. Scoring the same account, version and moment
    again adds nothing.
    """
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("account_score"))))
    session.execute(
        sa.text("CREATE TEMPORARY TABLE new_account_score (LIKE account_score INCLUDING DEFAULTS) ON COMMIT DROP")
    )
    session.execute(sa.text("ALTER TABLE new_account_score ALTER COLUMN id DROP NOT NULL"))
    new = sa.table("new_account_score", *(sa.column(name) for name in scores.columns))
    copy_frame(session, new, scores.with_columns(_reasons_as_json(scores)))
    session.execute(_DROP_KNOWN)
    session.execute(_OUTDATE)
    session.execute(sa.text(_ADD.format(columns=", ".join(scores.columns))))
    session.execute(sa.text("DROP TABLE new_account_score"))


def _reasons_as_json(scores: pl.DataFrame) -> pl.Series:
    return pl.Series("reasons", [json.dumps(reasons) for reasons in scores["reasons"].to_list()], dtype=pl.String)


_DROP_KNOWN = sa.text(
    "DELETE FROM new_account_score n USING account_score s"
    " WHERE s.account_id = n.account_id AND s.version = n.version AND s.as_of = n.as_of"
)
_OUTDATE = sa.text(
    "UPDATE account_score s SET latest = false FROM new_account_score n"
    " WHERE s.latest AND s.account_id = n.account_id AND s.as_of <= n.as_of"
)
_ADD = (
    "INSERT INTO account_score ({columns}, latest)"
    " SELECT {columns}, NOT EXISTS (SELECT FROM account_score s WHERE s.latest AND s.account_id = n.account_id)"
    " FROM new_account_score n ORDER BY account_id"
)


def write_account_scores_file(scores: pl.DataFrame, path: Path, *, language: str) -> None:
    """Write scores as CSV; reasons are a JSON list, each with its sentence."""
    reasons = [
        json.dumps([{**reason, "sentence": reason_sentence(reason, language)} for reason in found], ensure_ascii=False)
        for found in scores["reasons"].to_list()
    ]
    moments = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ") for name in _MOMENTS]
    scores.with_columns(*moments, pl.Series("reasons", reasons, dtype=pl.String)).write_csv(path)
