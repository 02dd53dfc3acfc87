"""Fields of opportunities that look as if they knew the outcome, in the records as stored."""

from collections.abc import Iterator
from datetime import timedelta

import polars as pl

from forecast.estimators.encoding import LEVEL_ROWS_MIN
from forecast.insight.findings import EXAMPLES_MAX, Finding
from forecast.insight.leaks import find_deciding_levels, find_late_filling, find_separation
from forecast.metrics import Floats
from forecast.outcomes import opportunity_outcomes
from forecast.snapshot import History, take_snapshot
from forecast.snapshot.subjects import opportunities_at_ages

CHANGED_AT_CLOSE_SHARE = 0.5

_NOT_JUDGED = frozenset({"row", "fold", "opportunity_id", "as_of", "created_at", "external_id", "source_system"})
_SURROUNDINGS = (("account_", "account"), ("owner_", "person"), ("product_", "product"))


def leaking_fields(history: History) -> Iterator[Finding]:
    """Find fields that tell won from lost, or are filled after closing only, by their values at creation.

    A field with history shows there what it held then; one without shows what it holds now, and that is what may leak.
    """
    rows = take_snapshot(history, opportunities_at_ages(history, [0.0])).rows
    won = opportunity_outcomes(history, rows.select("opportunity_id", "as_of"))["won"]
    known = won.is_not_null()
    if not known.any():
        return
    outcomes, closed = won.drop_nulls().cast(pl.Float64).to_numpy(), rows["opportunity_id"].filter(known)
    for name in rows.columns:
        found = None if name in _NOT_JUDGED else _suspicion(rows[name], known, outcomes)
        if found is None:
            continue
        code, measure = found
        filled = rows[name].filter(known).is_not_null()
        kind, field = _place(name, history)
        yield Finding(
            code=code,
            kind=kind,
            field=field,
            count=int(filled.sum()),
            total=closed.len(),
            measure=measure,
            examples=tuple(closed.filter(filled).sort().head(EXAMPLES_MAX)) if code == "H602" else (),
        )


def _suspicion(column: pl.Series, known: pl.Series, won: Floats) -> tuple[str, float] | None:
    """Give the code of the first rule by which a column is suspicious, and what was measured."""
    closed = column.filter(known)
    if auc := find_separation(closed, won):
        return "H601", auc
    if shares := find_late_filling(column, known.to_numpy()):
        return "H602", shares[1]
    if decided := find_deciding_levels(closed, won):
        return "H604", min(decided)
    return None


def _place(name: str, history: History) -> tuple[str, str]:
    """Give the kind and the field that a column of a snapshot comes from."""
    for (prefix, kind), frame in zip(_SURROUNDINGS, (history.accounts, history.people, history.products), strict=True):
        if name in frame.columns and name != f"{prefix}id":
            return kind, _field(name.removeprefix(prefix))
    return "opportunity", _field(name)


def _field(column: str) -> str:
    return column.replace("custom_", "custom.", 1) if column.startswith("custom_") else column


def fields_changed_at_close(history: History) -> Iterator[Finding]:
    """Find fields that mostly change within a day of closing, where they change at all.

    What CRMs overwrite on closing is known to, and left out.
    """
    closings = history.closings.filter(pl.col("closed_at").is_not_null())
    at_close = (pl.col("changed_at") - pl.col("closed_at")).abs() <= timedelta(days=1)
    changed = (
        history.changes.filter(~pl.col("field").is_in(list(history.overwritten_on_close)))
        .join(closings, left_on="record_id", right_on="opportunity_id")
        .group_by("field", "record_id")
        .agg(at_close.any().alias("at_close"))
        .sort("field", "record_id")
    )
    for (name,), rows in changed.group_by("field", maintain_order=True):
        late = rows.filter("at_close")["record_id"]
        if late.len() > CHANGED_AT_CLOSE_SHARE * rows.height and rows.height >= LEVEL_ROWS_MIN:
            yield Finding(
                code="H603",
                kind="opportunity",
                field=_field(str(name)),
                count=late.len(),
                total=rows.height,
                examples=tuple(late.head(EXAMPLES_MAX)),
            )
