"""How right past scores were about time: what they said of days that are over, beside what happened."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from forecast.scoring.closings import INTERVAL, MONTHS

UNKNOWN_MAX = 0.05
WON_BY = pl.List(pl.Struct({"month_end": pl.String, "probability": pl.Float64}))
CLOSING = pl.Struct(
    {
        "expected_close_on": pl.String,
        "low": pl.String,
        "high": pl.String,
        "probability_of_slipping": pl.Float64,
        "won_by": WON_BY,
    }
)
_DAYS = ("expected_close_on", "low", "high")
_MOMENT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What scores said would come by a day, of all whose day is over, and how often it came.

    Attributes:
        what: a sentence's beginning.
        rows: scores that said so.
        predicted: mean probability.
        came: share of them of which it came true.
        brier: missing where all say the same probability.
    """

    what: str
    rows: int
    predicted: float
    came: float
    brier: float | None


def judge_dates(scores: pl.DataFrame, now: datetime) -> tuple[Promise, ...]:
    """Hold what scores said of days against what is known before `now`; what none of them said is not in the list.

    Whether the day is over depends on what was said and not on what happened, so that records still open count as well.

    Args:
        scores: `as_of, won, closed_at, closing` (the score table's JSON text) and `due_on`, the expected close date that the
            record had then.
        now: what is later has not happened yet.
    """
    told = scores.filter(pl.col("closing").is_not_null(), pl.col("won").is_null() | pl.col("closed_at").is_not_null())
    if told.is_empty():
        return ()
    told = told.with_columns(pl.col("closing").str.json_decode(CLOSING)).unnest("closing")
    return tuple(_judged(told.with_columns(pl.col(_DAYS).str.to_date(strict=False)), now))


def _judged(told: pl.DataFrame, now: datetime) -> Iterator[Promise]:
    low, middle, high = INTERVAL
    for month, said in _month_ends(told):
        won = pl.col("won").fill_null(0).eq(1) & _ended_by("day")
        yield from _promise(f"won by month end {month}", said, won, now)
    yield from _promise("open after its close date", _slips(told), ~_ended_by("day"), now)
    for what, share, last, came in (
        ("ended by the expected day", middle, "expected_close_on", _ended_by("expected_close_on")),
        ("ended before the range", low, "low", _ended_before("low")),
        ("ended within the range", high - low, "high", _ended_by("high") & ~_ended_before("low")),
    ):
        yield from _promise(what, told.with_columns(pl.col(last).alias("day"), said=pl.lit(share)), came, now)


def _slips(told: pl.DataFrame) -> pl.DataFrame:
    """Give what was said of close dates to come: `closed_at, day, said`; nothing where too many dates are no longer known.

    Many a CRM replaces the close date on closing. Those still known would be of open records then, which have slipped.
    """
    said = told.filter(pl.col("probability_of_slipping").is_not_null())
    if said["due_on"].null_count() > UNKNOWN_MAX * said.height:
        said = said.clear()
    ahead = said.filter(pl.col("due_on") >= pl.col("as_of").dt.date())
    return ahead.select("closed_at", day="due_on", said="probability_of_slipping")


def _month_ends(told: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give what was said of the first, the second … month end: `won, closed_at, day, said`."""
    for place in range(MONTHS):
        said = pl.col("won_by").list.get(place, null_on_oob=True)
        day = said.struct.field("month_end").str.to_date(strict=False)
        yield (
            place + 1,
            told.select("won", "closed_at", day=day, said=said.struct.field("probability")),
        )


def _ended_before(day: str) -> pl.Expr:
    """Tell whether a record had ended when a day (UTC) began."""
    return (pl.col("closed_at") < pl.col(day).cast(_MOMENT)).fill_null(value=False)


def _ended_by(day: str) -> pl.Expr:
    """Tell whether a record had ended when a day (UTC) was over."""
    return (pl.col("closed_at") < pl.col(day).cast(_MOMENT).dt.offset_by("1d")).fill_null(value=False)


def _promise(what: str, said: pl.DataFrame, came: pl.Expr, now: datetime) -> Iterator[Promise]:
    over = pl.col("day").cast(_MOMENT).dt.offset_by("1d") <= pl.lit(now).cast(_MOMENT)
    judged = said.drop_nulls(["day", "said"]).filter(over).select("said", came=came.cast(pl.Float64))
    if judged.height:
        brier = judged.select(((pl.col("said") - pl.col("came")) ** 2).mean()).item()
        yield Promise(
            what=what,
            rows=judged.height,
            predicted=judged.select(pl.col("said").mean()).item(),
            came=judged.select(pl.col("came").mean()).item(),
            brier=brier if judged["said"].n_unique() > 1 else None,
        )
