"""The life of an opportunity: when it closes, its stages, changes, activities and quotes.

All of it follows the opportunity's `course`; positions are in working time.
"""

import numpy as np
import polars as pl

from forecast.demo.columns import SECONDS_A_DAY, Floats, Ints, choose, spread_rows
from forecast.demo.market import SELLERS_A_TEAM
from forecast.demo.workdays import Workdays

STAGES = (
    "Lead identified",
    "Contacted",
    "Needs analysed",
    "Solution",
    "Quoted",
    "Negotiation",
    "Contract",
    "Won",
    "Lost",
)
STAGE_DAYS = (5.0, 8.0, 12.0, 14.0, 10.0, 12.0, 8.0)
STAGE_QUIET_DAYS = (7, 10, 14, 14, 10, 10, 7)
QUOTED, CONTRACT, WON, LOST = 4, 6, 7, 8

_LOST_STAGE_WEIGHTS = (0.06, 0.13, 0.18, 0.2, 0.18, 0.15, 0.1)
_WORKDAYS_A_DAY = 5 / 7
_LONGEST_WORKDAYS = 300.0


def draw_courses(rng: np.random.Generator, drawn: pl.DataFrame, workdays: Workdays) -> pl.DataFrame:
    """Add when each opportunity closes, when it goes quiet, how far it comes and who takes it over, if anybody."""
    count, course = drawn.height, drawn["course"].to_numpy()
    created, region = drawn["created"].to_numpy(), drawn["region"].to_numpy()
    typical = typical_workdays(drawn["amount"].to_numpy())
    won_days = typical * np.exp(rng.normal(0, 0.3, count))
    lost_days = typical * np.exp(rng.normal(0.05, 0.8, count))
    closed = created + np.clip(np.where(course, won_days, lost_days), 3, _LONGEST_WORKDAYS)
    closed = np.where(course, _pull_to_quarter_end(rng, closed, region=region, workdays=workdays), closed)
    goes_quiet = rng.random(count) < np.where(course, 0.3, 0.6)
    lively_share = np.where(goes_quiet, np.where(course, rng.beta(8, 2, count), rng.beta(4, 2.5, count)), 1.0)
    colleague = (drawn["owner"].to_numpy() + rng.integers(1, SELLERS_A_TEAM, count)) % SELLERS_A_TEAM
    handed_over = rng.random(count) < 0.06
    return drawn.with_columns(
        closed=pl.Series(closed),
        closed_seconds=pl.Series(workdays.seconds(region, closed)),
        quiet_from=pl.Series(created + (closed - created) * lively_share),
        last_stage=pl.Series(np.where(course, CONTRACT, choose(rng, _LOST_STAGE_WEIGHTS, count))),
        handed_over=pl.Series(np.where(handed_over, created + (closed - created) * rng.random(count), np.inf)),
        next_owner=pl.Series(region * SELLERS_A_TEAM + colleague),
    )


def typical_workdays(amount: Floats) -> Floats:
    """Give the working days that a won deal of this amount usually takes, 20-86 (30-120 days)."""
    days: Floats = np.clip(58 * (amount / 120_000) ** 0.28, 30, 120) * _WORKDAYS_A_DAY
    return days


def _pull_to_quarter_end(rng: np.random.Generator, closed: Floats, *, region: Ints, workdays: Workdays) -> Floats:
    day = np.floor(closed).astype(np.int64)
    target = workdays.quarter_ends[region, day] - rng.integers(0, 5, len(closed)) + rng.random(len(closed))
    pulled = (target > closed) & (target - closed < 15) & (rng.random(len(closed)) < 0.4)
    return np.where(pulled, target, closed)


def draw_stage_steps(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    """Draw the stages that each opportunity enters, the closing one included: `opportunity, stage, at`, in order."""
    stages, count = np.arange(CONTRACT + 1), drawn.height
    last = drawn["last_stage"].to_numpy()[:, None]
    spans = rng.gamma(2.0, np.array(STAGE_DAYS), (count, len(stages))) * (stages <= last)
    entered_share = (spans.cumsum(axis=1) - spans) / spans.sum(axis=1, keepdims=True)
    skipped = (rng.random(spans.shape) < 0.07) & (stages > 0) & (stages < last)
    rows, stage = np.nonzero((stages <= last) & ~skipped)
    created = drawn["created"].to_numpy()
    lively = drawn["quiet_from"].to_numpy() - created
    on_the_way = pl.DataFrame(
        {"opportunity": rows, "stage": stage, "at": created[rows] + entered_share[rows, stage] * lively[rows]}
    )
    closing = drawn.select(
        "opportunity",
        pl.when("won").then(WON).otherwise(LOST).cast(pl.Int64).alias("stage"),
        pl.col("closed").alias("at"),
    )
    return pl.concat([on_the_way, closing]).sort("opportunity", "at", maintain_order=True)


def draw_events(rng: np.random.Generator, counts: Ints, *, begins: Floats, ends: Floats) -> pl.DataFrame:
    """Spread each row's count of events evenly at random between two points: `opportunity, at`, in order."""
    rows = spread_rows(counts)
    at = begins[rows] + (ends - begins)[rows] * rng.random(len(rows))
    return pl.DataFrame({"opportunity": rows, "at": at}).sort("opportunity", "at")


def _draw_over_life(rng: np.random.Generator, drawn: pl.DataFrame, often: Floats) -> pl.DataFrame:
    created, closed = drawn["created"].to_numpy(), drawn["closed"].to_numpy()
    counts = rng.poisson(often * (closed - created) / 45)
    return draw_events(rng, counts, begins=created, ends=closed)


def draw_amount_changes(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    """Draw changed amounts, cuts likelier on a losing course: `opportunity, at, old, new`."""
    course = drawn["course"].to_numpy()
    events = _draw_over_life(rng, drawn, np.where(course, 0.5, 0.6))
    losing = ~course[events["opportunity"].to_numpy()]
    step = np.exp(rng.normal(np.where(losing, -0.08, 0.01), 0.12))
    first = pl.Series(drawn["amount"].to_numpy()[events["opportunity"].to_numpy()])
    factor = pl.col("step").cum_prod().over("opportunity")
    return (
        events.with_columns(step=pl.Series(step), first=first)
        .with_columns(new=(pl.col("first") * factor / 100).round() * 100)
        .with_columns(old=pl.col("new").shift().over("opportunity").fill_null(pl.col("first")))
        .filter(pl.col("new") != pl.col("old"))
        .select("opportunity", "at", "old", "new")
    )


def draw_first_close_days(rng: np.random.Generator, drawn: pl.DataFrame) -> Ints:
    """Draw the close day that the seller first expects, often a month's end, in days since 1970."""
    typical = (
        typical_workdays(drawn["amount"].to_numpy()) / _WORKDAYS_A_DAY * np.exp(rng.normal(-0.1, 0.3, drawn.height))
    )
    day = drawn["created_seconds"].to_numpy() // SECONDS_A_DAY + np.round(typical).astype(np.int64)
    next_month = day.astype("datetime64[D]").astype("datetime64[M]") + 1
    month_end = next_month.astype("datetime64[D]").astype(np.int64) - 1
    return np.where(rng.random(drawn.height) < 0.5, month_end, day)


def draw_close_day_changes(rng: np.random.Generator, drawn: pl.DataFrame, *, workdays: Workdays) -> pl.DataFrame:
    """Draw postponed close dates, likelier on a losing course, and the true one set on closing: `opportunity, at, old, new`.

    Each postponement moves the date by a week to six, counted from the date expected so far or from the day itself,
    whichever is later.
    """
    events = _draw_over_life(rng, drawn, np.where(drawn["course"].to_numpy(), 0.6, 1.0))
    rows = events["opportunity"].to_numpy()
    region = drawn["region"].to_numpy()
    day = workdays.seconds(region[rows], events["at"].to_numpy()) // SECONDS_A_DAY
    first = drawn["first_close_day"].to_numpy()
    moved = events.with_columns(
        day=pl.Series(day), step=pl.Series(rng.integers(7, 43, len(rows))), first=pl.Series(first[rows])
    )
    steps = pl.col("step").cum_sum().over("opportunity")
    # new[i] = max(new[i-1], day[i]) + step[i] in closed form, because a loop over opportunities would be slow
    reached = (pl.col("day") - steps + pl.col("step")).cum_max().over("opportunity")
    postponed = moved.select("opportunity", "at", new=steps + pl.max_horizontal("first", reached))
    closing = drawn.select("opportunity", pl.col("closed").alias("at"), new=pl.col("closed_seconds") // SECONDS_A_DAY)
    changes = pl.concat([postponed, closing]).sort("opportunity", "at", maintain_order=True)
    return (
        changes.with_columns(first=pl.Series(first[changes["opportunity"].to_numpy()]))
        .with_columns(old=pl.col("new").shift().over("opportunity").fill_null(pl.col("first")))
        .filter(pl.col("new") != pl.col("old"))
        .select("opportunity", "at", "old", "new")
    )


def draw_opportunity_activities(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    """Draw events for `export_activities`: on a winning course more, and more of them inbound; few once quiet."""
    course, created = drawn["course"].to_numpy(), drawn["created"].to_numpy()
    quiet_from, closed = drawn["quiet_from"].to_numpy(), drawn["closed"].to_numpy()
    a_day = np.where(course, 0.3, 0.25) * rng.gamma(4, 0.25, drawn.height)
    lively = draw_events(rng, rng.poisson(a_day * (quiet_from - created)), begins=created, ends=quiet_from)
    quiet = draw_events(rng, rng.poisson(0.02 * (closed - quiet_from)), begins=quiet_from, ends=closed)
    events = pl.concat([lively, quiet]).sort("opportunity", "at")
    rows = events["opportunity"].to_numpy()
    answers = np.where(course, 0.38, 0.3)[rows]
    return enter_late(rng, events, closed).select(
        "opportunity",
        pl.lit(-1, pl.Int64).alias("lead"),
        pl.Series("account", drawn["account"].to_numpy()[rows]),
        pl.Series("region", drawn["region"].to_numpy()[rows]),
        pl.Series("seller", seller_at(drawn, rows, events["at"].to_numpy())),
        "at",
        "entered",
        pl.Series("inbound", rng.random(len(rows)) < answers),
    )


def seller_at(drawn: pl.DataFrame, rows: Ints, at: Floats) -> Ints:
    """Give the seller in charge of each row's opportunity at a point in its life."""
    handed_over = at >= drawn["handed_over"].to_numpy()[rows]
    return np.where(handed_over, drawn["next_owner"].to_numpy()[rows], drawn["owner"].to_numpy()[rows])


def enter_late(rng: np.random.Generator, events: pl.DataFrame, ends: Floats) -> pl.DataFrame:
    """Add when each event is entered: within the day as a rule, and before the end of what it belongs to."""
    late = events["at"].to_numpy() + rng.exponential(0.1, events.height)
    return events.with_columns(entered=pl.Series(np.minimum(late, ends[events["opportunity"].to_numpy()])))


def draw_quotes(rng: np.random.Generator, drawn: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Draw a quote on entering the stage Quoted, sometimes a second: `opportunity, at`, in order."""
    quoted = steps.filter(pl.col("stage") == QUOTED)
    rows, entered = quoted["opportunity"].to_numpy(), quoted["at"].to_numpy()
    counts = 1 + (rng.random(len(rows)) < 0.3)
    quotes = draw_events(rng, counts, begins=entered, ends=drawn["quiet_from"].to_numpy()[rows])
    return quotes.with_columns(opportunity=pl.Series(rows).gather(quotes["opportunity"]))
