"""Customers and their purchases as stored, and what was known of them strictly before a moment."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl

from forecast.moments import MICROSECONDS_A_DAY
from forecast.snapshot.changes import CHANGE_TYPES, as_known

DAYS_MAX = 10_000_000
SILENCE_MIN = timedelta(days=30)

ATTRIBUTES = ("industry", "region", "size", "channel")
CUSTOM_PREFIX = "custom_"
EVENTS = ("case", "activity", "opportunity")
MOMENT = pl.Datetime("us", "UTC")
LINE_TYPES = pl.Schema({"account_id": pl.String(), "happened_at": MOMENT, "product_id": pl.String()})
CANCELLATION_TYPES = pl.Schema({"account_id": pl.String(), "happened_at": MOMENT, "amount": pl.Float64()})
PLACE_TYPES = pl.Schema(
    {"account_id": pl.String(), "happened_at": MOMENT, "region": pl.String(), "channel": pl.String()}
)
RATING_TYPES = pl.Schema({"account_id": pl.String(), "happened_at": MOMENT, "satisfaction": pl.Float64()})
PIPELINE_TYPES = pl.Schema(
    {
        "account_id": pl.String(),
        "opportunity_id": pl.String(),
        "created_at": MOMENT,
        "closed_at": MOMENT,
        "status": pl.String(),
        "amount": pl.Float64(),
    }
)
WIN_SCORE_TYPES = pl.Schema({"opportunity_id": pl.String(), "as_of": MOMENT, "probability": pl.Float64()})


@dataclass(frozen=True, kw_only=True)
class CustomerHistory:
    """Purchases and what surrounds them, uncut, each with its moment.

    Attributes:
        orders: `account_id, ordered_at, amount`, by account and moment; a return has a negative amount. Also `cost`,
            where the cost of any is known. Cancelled ones are not among them.
        accounts: `account_id, name` and ATTRIBUTES as they stand now; an account that is known from its orders only has no
            row. Also `created_at`, where it is stored, and custom fields that name one of several things, as CUSTOM_PREFIX
            and their name.
        account_changes: of these columns, as CHANGE_TYPES, ordered by moment.
        events: `account_id, happened_at, kind`, the kind one of EVENTS: a case opened, an activity done, an opportunity
            created.
        lines: products bought, one row a product of an order.
        places: the region and channel of each account's first order that names any: where its own row names none, they are
            the account's.
        cancelled: orders that were cancelled, by the moment they were placed: when they were cancelled is not stored.
        ratings: how satisfied customers said they were, from 0 to 1.
        pipeline: opportunities that have an account, with what became of them.
        win_scores: what the win model said of opportunities, and when.
        warnings: what a reader of the figures must know.
    """

    orders: pl.DataFrame
    accounts: pl.DataFrame
    events: pl.DataFrame
    account_changes: pl.DataFrame = field(default_factory=CHANGE_TYPES.to_frame)
    lines: pl.DataFrame = field(default_factory=LINE_TYPES.to_frame)
    places: pl.DataFrame = field(default_factory=PLACE_TYPES.to_frame)
    cancelled: pl.DataFrame = field(default_factory=CANCELLATION_TYPES.to_frame)
    ratings: pl.DataFrame = field(default_factory=RATING_TYPES.to_frame)
    pipeline: pl.DataFrame = field(default_factory=PIPELINE_TYPES.to_frame)
    win_scores: pl.DataFrame = field(default_factory=WIN_SCORE_TYPES.to_frame)
    warnings: tuple[str, ...] = ()

    @property
    def first_day(self) -> datetime | None:
        """The moment of the first order."""
        first = self.orders["ordered_at"].min()
        return first if isinstance(first, datetime) else None


def cut_customers(history: CustomerHistory, until: datetime) -> CustomerHistory:
    """Give the history as it was known before `until`; an opportunity that closed later is open."""
    later = pl.col("closed_at") >= until
    return replace(
        history,
        orders=history.orders.filter(pl.col("ordered_at") < until),
        accounts=_known_accounts(history, until),
        account_changes=history.account_changes.filter(pl.col("changed_at") < until),
        events=history.events.filter(pl.col("happened_at") < until),
        lines=history.lines.filter(pl.col("happened_at") < until),
        places=history.places.filter(pl.col("happened_at") < until),
        cancelled=history.cancelled.filter(pl.col("happened_at") < until),
        ratings=history.ratings.filter(pl.col("happened_at") < until),
        pipeline=history.pipeline.filter(pl.col("created_at") < until).with_columns(
            pl.when(later).then(pl.lit("open")).otherwise("status").alias("status"),
            pl.when(~later).then("closed_at").alias("closed_at"),
        ),
        win_scores=history.win_scores.filter(pl.col("as_of") < until),
    )


def account_attributes(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    """Give what was known before `as_of` of accounts that have a row: `account_id`, ATTRIBUTES and custom fields.

    A value of which no change is stored counts as known from the beginning.
    """
    return _known_accounts(history, as_of).select("account_id", *ATTRIBUTES, f"^{CUSTOM_PREFIX}.*$")


def _known_accounts(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    if history.account_changes.is_empty():
        return history.accounts
    moment = pl.lit(as_of).cast(MOMENT).alias("as_of")
    rows = history.accounts.select(pl.int_range(pl.len()).alias("row"), moment, "account_id")
    return as_known(rows, history.accounts, history.account_changes, "account_id").select(history.accounts.columns)


def unusual_silence(history: CustomerHistory, as_of: datetime) -> datetime | None:
    """Give the moment of the newest order before `as_of`, where nobody has ordered since for a month and longer than ever before.

    Sooner than that everybody has left, the orders since then are not imported.
    """
    moments = history.orders.filter(pl.col("ordered_at") < as_of)["ordered_at"].sort()
    newest, longest = moments.max(), moments.diff().max()
    if not isinstance(newest, datetime):
        return None
    usual = longest if isinstance(longest, timedelta) else timedelta(0)
    return newest if as_of - newest > max(SILENCE_MIN, usual) else None


def purchase_days(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    """Give the purchases before `as_of` by day: `account_id, ago_days, spent, returned`, by account, oldest first.

    A day is 24 hours counted back from `as_of`, so that no time zone enters; 0 is the last of them. Days with nothing but
    returns are not purchases: their amount counts in `returned` of no day, see `returned_before`.
    """
    return _days_before(history.orders, as_of).filter(pl.col("bought")).drop("bought")


def returned_before(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    """Sum what each customer gave back or cancelled before `as_of`: `account_id, returned_amount` of those who did."""
    returns = history.orders.filter((pl.col("ordered_at") < as_of) & (pl.col("amount") < 0))
    cancelled = history.cancelled.filter((pl.col("happened_at") < as_of) & (pl.col("amount") > 0))
    both = pl.concat(
        [
            returns.select("account_id", returned_amount=-pl.col("amount")),
            cancelled.select("account_id", returned_amount="amount"),
        ]
    )
    return both.group_by("account_id", maintain_order=True).agg(pl.col("returned_amount").sum())


def margin_shares(history: CustomerHistory, as_of: datetime) -> pl.DataFrame | None:
    """Give each customer's margin as a share of revenue: `account_id, margin_share`, and what it is of all together.

    A customer's share is drawn to that of all by two orders of usual revenue. None where no cost is known before `as_of`.
    """
    if "cost" not in history.orders.columns:
        return None
    known = history.orders.filter((pl.col("ordered_at") < as_of) & pl.col("cost").is_not_null())
    revenue, cost = (float(known[name].sum()) for name in ("amount", "cost"))
    if known.is_empty() or revenue <= 0:
        return None
    usual, weight = 1 - cost / revenue, 2 * revenue / known.height
    margin = (pl.col("amount") - pl.col("cost")).sum()
    drawn = (margin + usual * weight) / (pl.col("amount").sum().clip(lower_bound=0.0) + weight)
    return known.group_by("account_id", maintain_order=True).agg(margin_share=drawn).with_columns(usual=pl.lit(usual))


def open_pipeline(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    """Sum up what was open at `as_of`: `account_id, open_count, open_wins, open_value` of accounts with any.

    `open_wins` adds up win probabilities, `open_value` those times the amounts. The probability is the newest that was
    scored before `as_of`; without one, the share that was won of what had closed by then.
    """
    known = history.pipeline.filter(pl.col("created_at") < as_of)
    closed = known.filter((pl.col("closed_at") < as_of) & (pl.col("status") != "open"))
    usual = (closed.filter(pl.col("status") == "won").height + 1) / (closed.height + 2)
    is_open = (pl.col("status") == "open") | (pl.col("closed_at") >= as_of)
    scores = history.win_scores.filter(pl.col("as_of") < as_of).sort("as_of")
    newest = scores.group_by("opportunity_id").agg(pl.col("probability").last())
    chance = pl.col("probability").fill_null(usual)
    return (
        known.filter(is_open)
        .join(newest, on="opportunity_id", how="left")
        .group_by("account_id")
        .agg(
            open_count=pl.len().cast(pl.Int64),
            open_wins=chance.sum(),
            open_value=(chance * pl.col("amount").fill_null(0.0)).sum(),
        )
    )


def purchases_within(history: CustomerHistory, as_of: datetime, *, horizon_days: int) -> pl.DataFrame:
    """Count and sum purchases from `as_of` on, for as many days: `account_id, orders, revenue` of those who bought.

    This is what happened afterwards: only training and measures of accuracy may ask.
    """
    end = as_of + timedelta(days=horizon_days)
    later = history.orders.filter((pl.col("ordered_at") >= as_of) & (pl.col("ordered_at") < end))
    return (
        _days_before(later, end)
        .group_by("account_id", maintain_order=True)
        .agg(orders=pl.col("bought").sum().cast(pl.Float64), revenue=(pl.col("spent") - pl.col("returned")).sum())
        .filter(pl.col("orders") > 0)
        .with_columns(pl.col("revenue").clip(lower_bound=0.0))
    )


def _days_before(orders: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Sum up each day; as orders are sorted, days are runs of rows, which Polars finds without hashing or sorting text."""
    since = (pl.lit(as_of) - pl.col("ordered_at")).dt.total_microseconds()
    amount = pl.col("amount").fill_null(0.0)
    day = pl.col("account_id").rle_id().cast(pl.Int64) * DAYS_MAX - pl.col("ago_days")
    return (
        orders.filter(pl.col("ordered_at") < as_of)
        .with_columns(ago_days=((since - 1) // MICROSECONDS_A_DAY).cast(pl.Int32))
        .with_columns(day.alias("day"))
        .set_sorted("day")
        .group_by("day", maintain_order=True)
        .agg(
            pl.col("account_id", "ago_days").first(),
            spent=amount.clip(lower_bound=0.0).sum(),
            returned=(-amount).clip(lower_bound=0.0).sum(),
            bought=(amount >= 0).any(),
        )
        .drop("day")
    )
