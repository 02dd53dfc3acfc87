"""Prepare the files that a user of that time would have had: before the split, and after it up to each score."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.sets import WinSet, moment

OUTCOME_STAGES = (
    "A_APPROVED", "A_DECLINED", "A_CANCELLED", "A_REGISTERED", "A_ACTIVATED", "O_ACCEPTED", "O_DECLINED",
    "Won", "Lost", "Closed Won", "Closed Lost",
)  # fmt: skip
# Events of exactly the protocol's as_of count as known; the product's as_of is exclusive.
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Files of a set, ready to import.

    Attributes:
        before: files to import before training, in order.
        after: files to import between training and scoring, in order.
        pairs: CSV of opportunity_id and as_of to score; None where the set knows no time.
    """

    before: list[Path]
    after: list[Path]
    pairs: Path | None


def prepare(win_set: WinSet, folder: Path) -> Prepared:
    """Write the files of a set without anything that was not yet known; outcomes of test rows appear nowhere."""
    rows = without_later_outcomes(win_set)
    asked = rows["split"] == "test"
    early = {"opportunities": rows.filter(~asked)}
    late = {"opportunities": rows.filter(asked)}
    for part, events in win_set.history.items():
        early[part], late[part] = split_history(win_set, events)
    pairs = _pairs(win_set)
    return Prepared(
        before=_write(folder / "before", early),
        after=_write(folder / "after", late),
        pairs=None if pairs is None else _write(folder, {"pairs": pairs})[0],
    )


@dataclass(frozen=True, kw_only=True)
class WalkFiles:
    """What a walk through time needs: all rows with their outcomes, what to score, and from when to when."""

    opportunities: Path
    pairs: Path
    start: str
    end: str


def prepare_walk(win_set: WinSet, folder: Path) -> WalkFiles:
    """Write the rows of a set whose outcomes are known from their creation on, and its test rows to be scored then."""
    rows = _spread_over_months(win_set.rows) if win_set.time == "row" else win_set.rows
    asked = rows.filter(pl.col("split") == "test")
    pairs = asked.select(opportunity_id="id", as_of=moment("created_at").dt.to_string("%Y-%m-%dT%H:%M:%SZ"))
    created = asked.select(moment("created_at")).to_series().sort()
    paths = _write(folder, {"opportunities": rows, "pairs": pairs})
    return WalkFiles(
        opportunities=paths[0],
        pairs=paths[1],
        start=f"{created[0]:%Y-%m-%d}",
        end=f"{created[-1] + timedelta(days=1):%Y-%m-%d}",
    )


def _spread_over_months(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows that are in date order, but whose dates tell the month only, moments evenly over their month, in their order."""
    month, number = moment("created_at").dt.truncate("1mo"), pl.col("row").cast(pl.Int64)
    share = (number.rank("ordinal").over(month) - 1) / pl.len().over(month)
    length = (month.dt.offset_by("1mo") - month).dt.total_seconds()
    spread = month + pl.duration(seconds=(share * length).floor().cast(pl.Int64))
    return rows.with_columns(created_at=spread.dt.to_string("%Y-%m-%dT%H:%M:%S"))


def without_later_outcomes(win_set: WinSet) -> pl.DataFrame:
    """Open again every row that is not for training, or that closed at the split moment or later.

    Where some purged rows had closed by then, all are left out: their outcome may not be told, the open ones alone would
    make the set look less won than it was.
    """
    unknown = pl.col("split") != "train"
    rows = win_set.rows
    if win_set.split_at is not None:
        purged = pl.col("split") == "purged"
        if rows.filter(purged, moment("closed_at") < win_set.split_at).height:
            rows = rows.filter(~purged)
        unknown |= moment("closed_at") >= win_set.split_at
    told = [name for name in ("outcome", "closed_at", "won_at_any", "stage_at_export") if name in rows.columns]
    return rows.with_columns(pl.when(~unknown.fill_null(value=False)).then(pl.col(name)) for name in told)


def as_known(win_set: WinSet) -> WinSet:
    """Teach the purged rows that had closed before the split too, as the CRM of that moment would have told them."""
    known = (pl.col("split") == "purged") & (moment("closed_at") < win_set.split_at)
    split = pl.when(known.fill_null(value=False)).then(pl.lit("train")).otherwise("split")
    return replace(win_set, rows=win_set.rows.with_columns(split=split))


def split_history(win_set: WinSet, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divide events at the split moment; outcomes, and what follows a test row's own as_of, are in neither part."""
    at = "changed_at" if "changed_at" in events.columns else "occurred_at"
    asked = win_set.rows.filter(pl.col("split") == "test").select("id", cut=moment("as_of"))
    events = events.join(asked, left_on="opportunity_id", right_on="id", how="left", maintain_order="left")
    events = events.filter(pl.col("cut").is_null() | (moment(at) <= pl.col("cut")))
    if "stage" in events.columns:
        events = events.filter(~pl.col("stage").is_in(OUTCOME_STAGES))
    early = pl.col("cut").is_null() & (moment(at) < win_set.split_at)
    return events.filter(early).drop("cut"), events.filter(~early).drop("cut")


def shuffled(win_set: WinSet, *, seed: int, most: int) -> WinSet:
    """Shuffle the outcomes of the training rows, of which a random `most` are kept, so that there is nothing to learn."""
    train = win_set.rows.filter(pl.col("split") == "train")
    train = train.sample(min(most, train.height), seed=seed)
    mixed = np.random.default_rng(seed).permutation(train["outcome"].to_numpy())
    train = train.with_columns(outcome=pl.Series(mixed))
    return replace(win_set, rows=pl.concat([train, win_set.rows.filter(pl.col("split") != "train")]))


def _pairs(win_set: WinSet) -> pl.DataFrame | None:
    if win_set.split_at is None:
        return None
    at_creation = moment("as_of") <= moment("created_at")
    at = pl.when(at_creation).then(moment("as_of")).otherwise(moment("as_of") + INSTANT)
    written = at.dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")
    return win_set.rows.filter(pl.col("split") == "test").select(opportunity_id="id", as_of=written)


def _write(folder: Path, frames: dict[str, pl.DataFrame]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{part}.csv" for part in frames]
    for path, frame in zip(paths, frames.values(), strict=True):
        frame.write_csv(path)
    return paths
