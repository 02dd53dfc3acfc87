"""The status of a record, decided by whatever a file says of its end."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import polars as pl

from forecast.intake import vocabulary
from forecast.intake.rejects import Trouble

ENDS = frozenset({"is_won", "is_closed", "status", "won_at", "lost_at", "closed_at", "stage", "is_active"})
_NAMES = {"opportunity": ("won", "lost"), "lead": ("converted", "disqualified")}


def decide_statuses(
    frame: pl.DataFrame, kind: str, words: Mapping[str, str], *, zone: str
) -> tuple[pl.DataFrame, dict[int, Trouble]]:
    """Fill `status` and `closed_at` of typed rows from the evidence they hold, and drop the evidence.

    In this order: is_won and is_closed, the status itself, a moment of winning or losing, a stage whose name is a status,
    is_active; where none of these is there but is_won, a moment of closing. What none of them decides is open. A record that
    is archived at a probability of 0 or none is lost, as in Odoo, even if its status is a word for what is open.

    Args:
        frame: typed rows, fields as columns.
        kind: opportunity or lead; other kinds come back as they are.
        words: normalised word -> status, for the names of stages.
        zone: in which a close date is a day.
    """
    if kind not in _NAMES:
        return frame, {}
    given = set(frame.columns)
    won, lost = _NAMES[kind]
    closed = pl.col("closed_at").is_not_null()
    stages = _stage_statuses(frame, words, ends={won, lost})
    evidence: list[pl.Expr | pl.Series] = [
        *_flags(given, won, lost),
        *([_archived(given, stages, won, lost)] if {"is_active", "status"} <= given else []),
        *([pl.col("status")] if "status" in given else []),
        *([pl.when(pl.col("won_at").is_not_null()).then(pl.lit(won))] if "won_at" in given else []),
        *([pl.when(pl.col("lost_at").is_not_null()).then(pl.lit(lost))] if "lost_at" in given else []),
        *([stages] if "stage" in given else []),
        *([pl.when(~pl.col("is_active")).then(pl.lit(lost))] if "is_active" in given else []),
        *([pl.when(~pl.col("is_won") & closed).then(pl.lit(lost))] if given & ENDS == {"is_won", "closed_at"} else []),
    ]
    if not evidence:
        return _expecting(frame, pl.lit(value=True), zone), {}
    decided = frame.with_columns(pl.coalesce(evidence).alias("status"))
    troubles = _undecided(decided)
    return _closing(decided.with_columns(pl.col("status").fill_null("open")), zone), troubles


def _flags(given: set[str], won: str, lost: str) -> list[pl.Expr]:
    flags: list[pl.Expr] = [pl.when(pl.col("is_won")).then(pl.lit(won))] if "is_won" in given else []
    if "is_closed" in given:
        flags.append(pl.when(~pl.col("is_closed")).then(pl.lit("open")))
    if {"is_won", "is_closed"} <= given:
        flags.append(pl.when(pl.col("is_closed") & ~pl.col("is_won")).then(pl.lit(lost)))
    return flags


def _archived(given: set[str], stages: pl.Series, won: str, lost: str) -> pl.Expr:
    """Tell what is lost though its status is open: archived at a probability of 0 or none, and nothing says won."""
    is_won = [pl.col("status") == won, stages == won, *([pl.col("won_at").is_not_null()] if "won_at" in given else [])]
    chance = pl.col("seller_probability") if "seller_probability" in given else pl.lit(0.0)
    is_lost = ~pl.col("is_active") & (chance.fill_null(0.0) == 0) & ~pl.any_horizontal(is_won).fill_null(value=False)
    return pl.when(is_lost).then(pl.lit(lost))


def _stage_statuses(frame: pl.DataFrame, words: Mapping[str, str], *, ends: AbstractSet[str]) -> pl.Series:
    """Give the statuses of stages that tell an end, empty where a stage is on the way."""
    stages = frame["stage"] if "stage" in frame.columns else pl.Series([None], dtype=pl.String)
    found = {stage: words.get(vocabulary.word_key(stage)) for stage in stages.unique().drop_nulls()}
    known = {stage: status for stage, status in found.items() if status in ends}
    if not known:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(stages))
    return stages.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.String)


def _undecided(frame: pl.DataFrame) -> dict[int, Trouble]:
    """Refuse rows that are closed, without a word on how."""
    if "is_closed" not in frame.columns:
        return {}
    rows = frame.select(
        (pl.col("is_closed") & pl.col("status").is_null()).fill_null(value=False).arg_true()
    ).to_series()
    trouble = Trouble(
        "is_closed", "true", "closed, but no column says whether it was won", "fill a column headed Won or Status"
    )
    return dict.fromkeys(rows.to_list(), trouble)


def _closing(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Fill closed_at of what is closed, from the most certain moment; an open record has none."""
    is_open = pl.col("status") == "open"
    moments = [name for name in ("closed_at", "won_at", "lost_at", "close_date") if name in frame.columns]
    if moments:
        frame = frame.with_columns(pl.when(~is_open).then(pl.coalesce(moments)).alias("closed_at"))
    return _expecting(frame, is_open, zone)


def _expecting(frame: pl.DataFrame, is_open: pl.Expr, zone: str) -> pl.DataFrame:
    if "close_date" not in frame.columns or "expected_close_on" in frame.columns:
        return frame
    day = pl.col("close_date").dt.convert_time_zone(zone).dt.date()
    return frame.with_columns(pl.when(is_open).then(day).alias("expected_close_on"))


def open_but_closed(frame: pl.DataFrame, before: pl.DataFrame) -> int:
    """Count the rows whose close moment was left out because they are open."""
    if "closed_at" not in before.columns or "status" not in frame.columns:
        return 0
    return frame.filter(pl.col("status") == "open", before["closed_at"].is_not_null()).height
