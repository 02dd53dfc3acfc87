"""What changed between two moments: from one expected total to the other, deal by deal, to the cent."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from forecast.revenue.cells import COMPANY
from forecast.runs.booked import UNIT_COLUMNS

BARS = (
    "new", "won", "lost", "pulled_in", "slipped_in", "pushed_out", "moved_earlier", "amount_up", "amount_down", "scored",
    "rescored", "handed_over", "reopened", "removed",
)  # fmt: skip
RECORD_TYPES = pl.Schema(
    {
        "opportunity_id": pl.String(),
        "name": pl.String(),
        "owner_id": pl.String(),
        "bar": pl.String(),
        "change": pl.Float64(),
        "status_before": pl.String(),
        "status_after": pl.String(),
        "amount_before": pl.Float64(),
        "amount_after": pl.Float64(),
        "closes_on_before": pl.Date(),
        "closes_on_after": pl.Date(),
        "probability_before": pl.Float64(),
        "probability_after": pl.Float64(),
    }
)
_SIDES = ("before", "after")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whose revenue of which days, both inclusive, is looked at; `unit_id` is "" for the company."""

    level: str
    unit_id: str
    starts_on: date
    ends_on: date


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One kind of change, summed."""

    name: str
    count: int
    amount: float


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Totals before and after, and what led from one to the other.

    Attributes:
        before, after: what was won in the scope's days, and of open deals expected to close in them amount times probability.
        bars: those that are not zero, in the order of BARS; before and all bars add up to after, to the cent.
        records: as RECORD_TYPES, a row a deal and bar, the largest first.
        remarks: what was missing or assumed, in sentences.
    """

    before: float
    after: float
    bars: tuple[Bar, ...]
    records: pl.DataFrame
    remarks: tuple[str, ...]


def compare(before: pl.DataFrame, after: pl.DataFrame, scope: Scope) -> Changes:
    """Compare deals as they were seen at two moments.

    A deal without any probability is taken at the share won of those that had closed before the first moment.

    Args:
        before: as `runs.deals.DEAL_TYPES`, of one currency.
        after: likewise, of the later moment.
        scope: what is looked at.
    """
    share = _won_share(before)
    first, second = (
        _side(deals, scope, share).select(
            pl.col("opportunity_id"), pl.exclude("opportunity_id").name.suffix(f"_{side}")
        )
        for side, deals in zip(_SIDES, (before, after), strict=True)
    )
    joined = first.join(second, on="opportunity_id", how="full", coalesce=True)
    rows = _attributed(joined)
    records = rows.filter(pl.col("cents") != 0).sort(
        pl.col("cents").abs(), "opportunity_id", "bar", descending=[True, False, False]
    )
    return Changes(
        before=_total(first["cents_before"]),
        after=_total(second["cents_after"]),
        bars=tuple(_bars(records)),
        records=records.with_columns(change=pl.col("cents") / 100).select(
            pl.col(name).cast(kind) for name, kind in RECORD_TYPES.items()
        ),
        remarks=tuple(_remarks(before, after, share)),
    )


def _won_share(deals: pl.DataFrame) -> float:
    closed = deals.filter(pl.col("status") != "open")
    return closed.filter(pl.col("status") == "won").height / closed.height if closed.height else 0.0


def _side(deals: pl.DataFrame, scope: Scope, share: float) -> pl.DataFrame:
    """Give each deal what it adds to the total of one moment, in cents."""
    won, still_open = pl.col("status") == "won", pl.col("status") == "open"
    in_unit = pl.lit(True) if scope.level == COMPANY else pl.col(UNIT_COLUMNS[scope.level]).eq_missing(scope.unit_id)
    closes_on = pl.when(still_open).then("expected_close_on").otherwise("closed_on")
    known = deals.select(
        "opportunity_id",
        "name",
        "owner_id",
        "status",
        pl.when(won).then("won_amount").otherwise("amount").alias("amount"),
        closes_on.alias("closes_on"),
        pl.when(won).then(1.0).when(still_open).then(_probability(share)).otherwise(0.0).alias("probability"),
        in_unit.alias("in_unit"),
        pl.col("win_probability").is_not_null().alias("scored"),
    ).with_columns(in_period=pl.col("closes_on").is_between(scope.starts_on, scope.ends_on).fill_null(value=False))
    counts = pl.col("in_unit") & pl.col("in_period")
    later = (pl.col("closes_on") > scope.ends_on).fill_null(value=True)
    return known.with_columns(
        pl.when(counts).then(_cents(pl.col("amount"), pl.col("probability"))).otherwise(0).alias("cents"),
        later.alias("is_later"),
    )


def _probability(share: float) -> pl.Expr:
    return pl.coalesce("win_probability", "seller_probability", pl.lit(share))


def _cents(amount: pl.Expr, probability: pl.Expr) -> pl.Expr:
    return (amount.fill_null(0) * probability * 100).round().cast(pl.Int64)


def _attributed(joined: pl.DataFrame) -> pl.DataFrame:
    """Say of each deal which bar its change belongs to; one that stays open in the scope may have two."""
    whole = joined.with_columns(
        pl.col("cents_before", "cents_after").fill_null(0),
        pl.coalesce("name_after", "name_before").alias("name"),
        pl.coalesce("owner_id_after", "owner_id_before").alias("owner_id"),
        _bar().alias("bar"),
    )
    moved = whole.filter(pl.col("bar").is_not_null()).with_columns(cents=pl.col("cents_after") - pl.col("cents_before"))
    stayed = whole.filter(pl.col("bar").is_null(), pl.col("in_unit_after"), pl.col("in_period_after"))
    between = _cents(pl.col("amount_after"), pl.col("probability_before"))
    by_amount = stayed.with_columns(cents=between - pl.col("cents_before")).with_columns(
        bar=pl.when(pl.col("cents") > 0).then(pl.lit("amount_up")).otherwise(pl.lit("amount_down"))
    )
    first_score = ~pl.col("scored_before") & pl.col("scored_after")
    by_score = stayed.with_columns(
        cents=pl.col("cents_after") - between,
        bar=pl.when(first_score).then(pl.lit("scored")).otherwise(pl.lit("rescored")),
    )
    return pl.concat([moved, by_amount, by_score])


def _bar() -> pl.Expr:
    """Name the bar of a deal that did not stay where it was; missing where it did."""
    was, now = pl.col("status_before"), pl.col("status_after")
    entered = ~pl.col("in_period_before") & pl.col("in_period_after")
    left = pl.col("in_period_before") & ~pl.col("in_period_after")
    cases = [
        (now.eq("won") & was.ne_missing("won"), "won"),
        (now.eq("lost") & was.ne_missing("lost"), "lost"),
        (was.is_null(), "new"),
        (now.is_null(), "removed"),
        (was.ne("open") & now.eq("open"), "reopened"),
        (pl.col("in_unit_before") != pl.col("in_unit_after"), "handed_over"),
        (entered & pl.col("is_later_before"), "pulled_in"),
        (entered, "slipped_in"),
        (left & pl.col("is_later_after"), "pushed_out"),
        (left, "moved_earlier"),
    ]
    return pl.coalesce(pl.when(condition).then(pl.lit(name)) for condition, name in cases)


def _bars(records: pl.DataFrame) -> list[Bar]:
    sums = {
        name: (count, cents)
        for name, count, cents in records.group_by("bar")
        .agg(pl.col("opportunity_id").n_unique(), pl.col("cents").sum())
        .iter_rows()
    }
    return [Bar(name=name, count=sums[name][0], amount=sums[name][1] / 100) for name in BARS if name in sums]


def _total(cents: pl.Series) -> float:
    return int(cents.sum()) / 100


def _remarks(before: pl.DataFrame, after: pl.DataFrame, share: float) -> list[str]:
    found = []
    for when, deals in zip(_SIDES, (before, after), strict=True):
        still_open = deals.filter(pl.col("status") == "open")
        bare = still_open.filter(pl.coalesce("win_probability", "seller_probability").is_null()).height
        if bare:
            found.append(
                f"{when}: {bare} of {still_open.height} open opportunities had no score, and count with the share won, {share:.0%}"
            )
        undated = still_open["expected_close_on"].null_count()
        if undated:
            found.append(
                f"{when}: {undated} of {still_open.height} open opportunities had no close date, and are in no period"
            )
    return found
