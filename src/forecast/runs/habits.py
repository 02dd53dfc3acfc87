"""What sellers announce against what happens: happy ears and sandbagging, where enough is known to say so."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
from scipy.stats import beta
from sqlalchemy.orm import Session

from forecast.revenue.cells import NO_UNIT, PERSON
from forecast.revenue.records import SalesRecords
from forecast.revenue_records import OWNERS, read_deal_records
from forecast.runs.categories import COMMIT, said_category
from forecast.runs.deals import deals_of

Verdict = Literal["happy ears", "sandbagging", "out of step", "in line", "too few to say"]
MONTHS_BACK = 12
# Deals that a person needs until they say as much as what is usual for the others.
PRIOR_DEALS = 10
DEALS_MIN = 8
SURE = 0.975
# Where less is known of what was said of deals that ended since, only broken promises would be left to count.
STATED_SHARE_MIN = 0.5
ANNOUNCING = ("owner_id", "expected_close_on", "forecast_category")
_NO_SCORES = pl.DataFrame(schema={"opportunity_id": pl.String(), "win_probability": pl.Float64()})


@dataclass(frozen=True, kw_only=True)
class Habit:
    """How a person's announcements came true.

    Attributes:
        announced: deals that the person said would be won within a month: as commit, or without a category by their close date.
        kept_share: of them, won in that month; a deal that was announced for several months counts once, in parts.
        kept_usual: likewise, of all others.
        won: deals that were open at the start of the month in which they were won.
        unannounced_share: of them, not announced for that month.
        unannounced_usual: likewise, of all others.
        verdict: happy ears: keeps less than others; sandbagging: wins more that was not announced; out of step: both.
    """

    person_id: str
    name: str | None
    announced: int
    kept_share: float | None
    kept_usual: float | None
    won: int
    unannounced_share: float | None
    unannounced_usual: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Habits:
    """Habits of all persons who announced or won something, and what was missing to judge them."""

    since: date
    people: tuple[Habit, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Count:
    """So many deals, of which so many did."""

    deals: float
    did: float

    @property
    def share(self) -> float | None:
        return self.did / self.deals if self.deals else None


def judge_habits(session: Session, *, now: datetime, timezone: str) -> Habits:
    """Judge what sellers announced for each of the MONTHS_BACK months that are over.

    What was said is what was known at the first moment of the month: of imports without a history of fields nothing is.

    Args:
        session: of the database.
        now: later months are not over.
        timezone: of months.
    """
    starts = _months(now, timezone)
    moments = [datetime.combine(day, time.min, ZoneInfo(timezone)).astimezone(UTC) for day in starts]
    records = read_deal_records(session, timezone=timezone, fields=ANNOUNCING, since=moments[0], levels=OWNERS)
    sights = [deals_of(records, moment, _NO_SCORES) for moment in moments]
    months = zip(pairwise(starts), pairwise(sights), strict=True)
    deals = pl.concat([_month(*days, *seen) for days, seen in months])
    ended = deals.filter("ended")
    stated = ended["stated"].mean() if ended.height else None
    if not isinstance(stated, float) or stated < STATED_SHARE_MIN:
        remark = "close dates and categories of closed opportunities are not known as they were before: import the history of fields"
        return Habits(since=starts[0], people=(), remarks=(remark,))
    return Habits(since=starts[0], people=tuple(_people(records, deals.filter("stated"))), remarks=())


def _months(now: datetime, timezone: str) -> list[date]:
    this = pl.lit(now.astimezone(ZoneInfo(timezone)).date().replace(day=1))
    return pl.select(pl.date_range(this.dt.offset_by(f"-{MONTHS_BACK}mo"), this, interval="1mo")).to_series().to_list()


def _month(start: date, end: date, then: pl.DataFrame, afterwards: pl.DataFrame) -> pl.DataFrame:
    """Give each deal that was open when a month began: what was said of it, and whether it was won in the month."""
    became = afterwards.select("opportunity_id", pl.col("status").alias("became"))
    category = said_category()
    due = pl.col("expected_close_on").is_between(start, end, closed="left").fill_null(value=False)
    return (
        then.filter(pl.col("status") == "open", pl.col("owner_id") != NO_UNIT[PERSON])
        .join(became, on="opportunity_id", maintain_order="left")
        .select(
            "opportunity_id",
            "owner_id",
            stated=category.is_not_null() | pl.col("expected_close_on").is_not_null(),
            announced=pl.when(category.is_not_null()).then(category == COMMIT).otherwise(due),
            won=pl.col("became") == "won",
            ended=pl.col("became") != "open",
        )
    )


def _people(records: SalesRecords, deals: pl.DataFrame) -> Iterator[Habit]:
    promises = (
        deals.filter("announced").group_by("owner_id", "opportunity_id").agg(pl.col("won").cast(pl.Float64).mean())
    )
    kept = _counts(promises, "won")
    surprises = _counts(deals.filter("won").with_columns(surprise=(~pl.col("announced")).cast(pl.Float64)), "surprise")
    for person in sorted({*kept, *surprises}):
        yield _habit(records, person, kept, surprises)


def _counts(rows: pl.DataFrame, did: str) -> dict[str, _Count]:
    sums = rows.group_by("owner_id").agg(pl.len(), pl.col(did).sum())
    return {owner: _Count(deals=count, did=done) for owner, count, done in sums.iter_rows()}


def _habit(records: SalesRecords, person: str, kept: dict[str, _Count], surprises: dict[str, _Count]) -> Habit:
    nothing = _Count(deals=0, did=0)
    promised, won = kept.get(person, nothing), surprises.get(person, nothing)
    usual_kept, usual_surprise = _others(kept, promised).share, _others(surprises, won).share
    return Habit(
        person_id=person,
        name=records.names.get((PERSON, person)),
        announced=int(promised.deals),
        kept_share=promised.share,
        kept_usual=usual_kept,
        won=int(won.deals),
        unannounced_share=won.share,
        unannounced_usual=usual_surprise,
        verdict=_verdict(_is_below(promised, usual_kept), _is_above(won, usual_surprise)),
    )


def _others(counts: dict[str, _Count], own: _Count) -> _Count:
    deals, did = (sum(getattr(count, name) for count in counts.values()) for name in ("deals", "did"))
    return _Count(deals=deals - own.deals, did=did - own.did)


def _is_below(own: _Count, usual: float | None) -> bool | None:
    """Tell whether a share is surely below the usual one; None where too few deals say."""
    probability = _probability_below(own, usual)
    return None if probability is None else probability >= SURE


def _is_above(own: _Count, usual: float | None) -> bool | None:
    probability = _probability_below(own, usual)
    return None if probability is None else 1 - probability >= SURE


def _probability_below(own: _Count, usual: float | None) -> float | None:
    """Give the posterior probability that a person's share is below the usual one, which PRIOR_DEALS speak for."""
    if usual is None or own.deals < DEALS_MIN or not 0 < usual < 1:
        return None
    did, did_not = PRIOR_DEALS * usual + own.did, PRIOR_DEALS * (1 - usual) + own.deals - own.did
    return float(beta.cdf(usual, did, did_not))


def _verdict(keeps_less: bool | None, surprises_more: bool | None) -> Verdict:  # noqa: FBT001 - two findings of one kind
    if keeps_less and surprises_more:
        return "out of step"
    if keeps_less:
        return "happy ears"
    if surprises_more:
        return "sandbagging"
    return "too few to say" if keeps_less is None and surprises_more is None else "in line"
