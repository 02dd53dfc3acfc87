"""Write scores of accounts: into their table, where the newest of each is marked, or into a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.accounts.wording import alert_sentence, reason_sentence
from forecast.store import copy_frame

_LISTS = ("reasons", "alerts", "next_products")
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
    copy_frame(session, new, scores.with_columns(_as_json(scores, name) for name in _LISTS))
    session.execute(_DROP_KNOWN)
    session.execute(_OUTDATE)
    session.execute(sa.text(_ADD.format(columns=", ".join(scores.columns))))
    session.execute(sa.text("DROP TABLE new_account_score"))


def _as_json(scores: pl.DataFrame, name: str) -> pl.Series:
    return pl.Series(name, [json.dumps(found, ensure_ascii=False) for found in scores[name].to_list()], dtype=pl.String)


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
    """Write scores as CSV; reasons and alerts are JSON lists, each with its sentence, next products one without."""
    sentences = {"reasons": reason_sentence, "alerts": alert_sentence}
    said = [
        pl.Series(name, [_with_sentences(given, say, language) for given in scores[name].to_list()], dtype=pl.String)
        for name, say in sentences.items()
    ]
    moments = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ") for name in _MOMENTS]
    scores.with_columns(*moments, *said, _as_json(scores, "next_products")).write_csv(path)


def _with_sentences(given: list[dict[str, Any]], say: Callable[[dict[str, Any], str], str], language: str) -> str:
    return json.dumps([{**one, "sentence": say(one, language)} for one in given], ensure_ascii=False)
