"""What was known strictly before a moment; the only thing that features see.

A snapshot is taken for subjects: rows of (opportunity, as_of), each with a moment of its own. This module holds every
comparison with `as_of` that cuts history: `as_known`, `before`, and with tallies.py the sums.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType

import polars as pl

from forecast.snapshot.changes import ChangeIndex, as_known
from forecast.snapshot.frames import ACCOUNT_EVENT_TYPES, CONTACT_TYPES, QUOTE_TYPES
from forecast.snapshot.stays import stays_of_won
from forecast.snapshot.tallies import TALLIED, tally_dated, tally_undated

UNDATED_FOLDS = 10
# What stands in an export stood a few days before it, mostly.
STANDS = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class History:
    """Opportunities and what surrounds them as stored, uncut, each with its moments.

    Attributes:
        opportunities: one row an `opportunity_id`, sorted; fixed and tracked columns as they stand now; a custom field
            `x` is the column `custom_x`.
        closings: `opportunity_id, status, closed_at, won_amount`, same rows; a closed one without `closed_at` closed at
            an unknown moment.
        changes: as CHANGE_TYPES, of opportunities, ordered by moment, equal moments in the order they happened; `field`
            is a column of `opportunities`.
        account_changes: likewise, of accounts; `field` is a column of `accounts`.
        activities: `opportunity_id, known_at, occurred_at, type, direction, person_id, contact_id, duration_minutes`.
        accounts, people, products: attributes by `account_id`, `owner_id`, `product_id`, named `account_…`, `owner_…`,
            `product_…`.
        stages: as `stages.STAGE_TYPES`, of all versions of the pipelines.
        quotes: as QUOTE_TYPES.
        contacts: as CONTACT_TYPES.
        account_events: as ACCOUNT_EVENT_TYPES, of kind `order` (its amount), `case`, `feedback` (satisfaction, 0-1),
            and those of `neighbours.opportunity_events`.
        custom_types: type of each custom column, by column name.
        overwritten_on_close: columns whose value CRMs replace on closing: without change rows, the value of a closed
            opportunity says nothing of the time before.
        earlier: all closings with the columns they closed with, where `closings_as_closed` prepared them from a larger
            history that these opportunities are scored against; missing where this history is the whole.
        stays: as `stays.STAY_TYPES`, where `stays_of_won` prepared them from a larger history; missing where this history is the
            whole.
        departures: `opportunity_id, left_at` of those that left the population before their outcome, such as leads that
            became opportunities; missing where none can.
        deletions: `key, record_id, deleted_at` of accounts, people and products with a tombstone, by the name of their
            key; missing where none has.
        stored_at: when the newest of the opportunities was stored; missing where that is not told.
    """

    opportunities: pl.DataFrame
    closings: pl.DataFrame
    changes: pl.DataFrame
    account_changes: pl.DataFrame
    activities: pl.DataFrame
    accounts: pl.DataFrame
    people: pl.DataFrame
    products: pl.DataFrame
    stages: pl.DataFrame
    quotes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUOTE_TYPES))
    contacts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CONTACT_TYPES))
    account_events: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ACCOUNT_EVENT_TYPES))
    custom_types: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    overwritten_on_close: frozenset[str] = frozenset()
    earlier: pl.DataFrame | None = None
    stays: pl.DataFrame | None = None
    departures: pl.DataFrame | None = None
    deletions: pl.DataFrame | None = None
    stored_at: datetime | None = None

    @cached_property
    def change_index(self) -> ChangeIndex:
        """Find changes by record and field; made once, for as many snapshots as are taken of this history."""
        return ChangeIndex(self.changes)

    def with_outcomes_hidden(self, opportunity_ids: pl.Series) -> "History":
        """Give the same history in which these opportunities are still open."""
        closings = _open_unless(~pl.col("opportunity_id").is_in(opportunity_ids.implode()), self.closings)
        return replace(self, opportunities=_with_late_values_hidden(self), closings=closings)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What was known of each subject strictly before its `as_of`.

    Attributes:
        rows: one row a subject, in the order given: `row, opportunity_id, as_of`, the opportunity's columns as known
            then, attributes of its account, owner and product; `team_id` is its owner's where it has none.
        changes: `row` and the columns of CHANGE_TYPES, of the subject's own opportunity.
        activities: `row, known_at, occurred_at, type, direction, person_id, contact_id, duration_minutes`; those with
            `occurred_at` at or after `as_of` are planned.
        closings: earlier closings of all opportunities, to be asked through `tally` only.
        stays: of all won opportunities in stages, to be asked through `tallies.sums_before` only.
        quotes: `row, known_at, amount, discount_share`, of the subject's own opportunity.
        account_events: of all accounts, to be asked through `tallies.totals_before` only.
        stages: of all versions of the pipelines, to be asked through `stages.stages_then` only.
        custom_types: type of each custom column, by column name.
    """

    rows: pl.DataFrame
    changes: pl.DataFrame
    activities: pl.DataFrame
    closings: pl.DataFrame
    stays: pl.LazyFrame
    quotes: pl.DataFrame
    account_events: pl.DataFrame
    stages: pl.DataFrame
    custom_types: Mapping[str, str]

    def tally(self, key: str | None = None) -> pl.DataFrame:
        """Count what had closed before each row's moment among opportunities that share its value of `key`.

        Args:
            key: a column of `rows`, or none to count all; the closed opportunity's value is the one it closed with.

        Returns:
            Columns `closed_count, won_count, priced_count` (won at an amount above 0) and `log_amount` (sum of their
            amounts' logarithms), rows in the order of `rows`; missing where the key is. Where neither creation nor closing
            has a date, closings count for every row but those of the same tenth of opportunities, so that no row meets its
            own outcome.
        """
        value = (pl.col(key).cast(pl.String) if key else pl.lit("")).alias("key")
        rows = self.rows.select("row", "as_of", "fold", value)
        asked = rows["key"].unique().drop_nulls().implode()
        priced = ((pl.col("won") == 1) & (pl.col("amount") > 0)).fill_null(value=False)
        closings = self.closings.select(
            "closed_at",
            "fold",
            value,
            pl.lit(1, pl.Int64).alias("closed_count"),
            pl.col("won").alias("won_count"),
            priced.cast(pl.Int64).alias("priced_count"),
            pl.when(priced).then(pl.col("amount").log()).otherwise(0.0).alias("log_amount"),
        ).filter(pl.col("key").is_in(asked))
        dated, undated = tally_dated(rows, closings), tally_undated(rows, closings)
        return rows.select(
            pl.when(pl.col("key").is_not_null()).then((dated[name] + undated[name]).cast(pl.Float64)).alias(name)
            for name in TALLIED
        )


def take_snapshot(history: History, subjects: pl.DataFrame) -> Snapshot:
    """Cut history for each subject, strictly before its own moment.

    Args:
        history: what is stored.
        subjects: `opportunity_id, as_of` (UTC). An opportunity may be asked for at the very moment of its creation; one
            that did not exist yet has no row.
    """
    closings = closings_as_closed(history) if history.earlier is None else history.earlier
    rows = _existing(history, subjects, closings)
    known = as_known(rows, _with_late_values_hidden(history), history.change_index, "opportunity_id")
    return Snapshot(
        rows=_with_surroundings(history, known),
        changes=history.change_index.before(rows, "opportunity_id"),
        activities=before(rows, history.activities, "known_at"),
        closings=closings,
        stays=stays_of_history(history) if history.stays is None else history.stays.lazy(),
        quotes=before(rows, history.quotes, "known_at"),
        account_events=history.account_events,
        stages=history.stages,
        custom_types=history.custom_types,
    )


def _with_surroundings(history: History, cut: pl.DataFrame) -> pl.DataFrame:
    rows = (
        as_known(cut, history.accounts, history.account_changes, "account_id")
        .join(history.people, on="owner_id", how="left", maintain_order="left")
        .join(history.products, on="product_id", how="left", maintain_order="left")
        .join(history.contacts, on="contact_id", how="left", maintain_order="left")
    )
    known = rows if history.deletions is None else _without_deleted(history, rows, history.deletions)
    return known.with_columns(pl.coalesce("team_id", "owner_team_id").alias("team_id"))


def _without_deleted(history: History, rows: pl.DataFrame, deletions: pl.DataFrame) -> pl.DataFrame:
    """Blank what a deleted record told, from its deletion on: blank before too, it would tell a future deletion."""
    for frame, key in (
        (history.accounts, "account_id"),
        (history.people, "owner_id"),
        (history.products, "product_id"),
    ):
        moments = deletions.filter(pl.col("key") == key).select(pl.col("record_id").alias(key), "deleted_at")
        if moments.height:
            told = pl.col(*(name for name in frame.columns if name != key))
            dated = rows.join(moments, on=key, how="left", maintain_order="left")
            was_gone = pl.col("deleted_at") < pl.col("as_of")
            rows = dated.with_columns(pl.when(was_gone).then(None).otherwise(told).name.keep()).drop("deleted_at")
    return rows


def _existing(history: History, subjects: pl.DataFrame, closings: pl.DataFrame) -> pl.DataFrame:
    created = history.opportunities.select("opportunity_id", "created_at").join(
        closings.select("opportunity_id", "fold"), on="opportunity_id", how="left"
    )
    return (
        subjects.select("opportunity_id", pl.col("as_of").cast(pl.Datetime("us", "UTC")))
        .join(created, on="opportunity_id", maintain_order="left")
        .filter(pl.col("created_at").is_null() | (pl.col("created_at") <= pl.col("as_of")))
        .select(pl.int_range(pl.len()).alias("row"), "opportunity_id", "as_of", "fold")
    )


def _undated(history: History) -> pl.DataFrame:
    """List the closed opportunities without any date, in tenths."""
    return (
        history.opportunities.select("opportunity_id", "created_at")
        .join(history.closings, on="opportunity_id", maintain_order="left")
        .filter(pl.col("status") != "open", pl.col("created_at").is_null(), pl.col("closed_at").is_null())
        .with_columns((pl.int_range(pl.len()) % UNDATED_FOLDS).alias("fold"))
        .drop("created_at")
    )


def _with_late_values_hidden(history: History) -> pl.DataFrame:
    """Blank what closing overwrote, where no change row can tell what stood before."""
    ids = history.opportunities["opportunity_id"]
    closed = ids.is_in(history.closings.filter(pl.col("status") != "open")["opportunity_id"].implode())
    return history.opportunities.with_columns(
        pl.when(~closed | history.change_index.tells_of(ids, name)).then(name).alias(name)
        for name in _overwritten(history)
    )


def before(rows: pl.DataFrame, events: pl.DataFrame, moment: str) -> pl.DataFrame:
    """Give, for each row, the events of its opportunity whose `moment` is strictly before its `as_of`.

    Returns:
        The events' columns without `opportunity_id`, with `row` and the row's `as_of`; in the order of rows, then of events.
    """
    return (
        rows.select("row", "opportunity_id", "as_of")
        .join(events, on="opportunity_id", maintain_order="left_right")
        .filter(pl.col(moment) < pl.col("as_of"))
        .drop("opportunity_id")
    )


def closings_as_closed(history: History) -> pl.DataFrame:
    """List closings with the columns the opportunity closed with, or began with where no moment of it is known.

    Those of a known creation and an unknown end are left out.
    """
    dated = history.closings.filter(pl.col("status") != "open", pl.col("closed_at").is_not_null())
    closed = pl.concat([dated.with_columns(pl.lit(None, pl.Int64).alias("fold")), _undated(history)])
    at_end = closed.select(
        pl.int_range(pl.len()).alias("row"),
        "opportunity_id",
        (pl.col("closed_at") + pl.duration(microseconds=1)).alias("as_of"),
        "closed_at",
        "fold",
        pl.col("status").eq("won").cast(pl.Int64).alias("won"),
    )
    known = as_known(at_end, history.opportunities, history.change_index, "opportunity_id")
    return _with_surroundings(history, known).drop("row", "as_of")


def stays_of_history(history: History) -> pl.LazyFrame:
    """List how long won opportunities stayed in each stage, as `stays.STAY_TYPES`."""
    return stays_of_won(history.opportunities, history.closings, history.changes)


def cut_history(history: History, until: datetime) -> History:
    """Give history as it would have been read at `until`: later records are gone, later changes undone.

    What closed at or after `until` is open. Values that closing overwrote untold are hidden already.
    """
    hidden = _with_late_values_hidden(history).filter(pl.col("created_at").is_null() | (pl.col("created_at") < until))
    before_until = (pl.col("status") == "open") | pl.col("closed_at").is_null() | (pl.col("closed_at") < until)
    closings = history.closings.join(hidden, on="opportunity_id", how="semi", maintain_order="left")
    return replace(
        history,
        opportunities=_as_of_one_moment(hidden, history.change_index, "opportunity_id", until),
        closings=_open_unless(before_until, closings),
        changes=history.changes.filter(pl.col("changed_at") < until),
        account_changes=history.account_changes.filter(pl.col("changed_at") < until),
        activities=history.activities.filter(pl.col("known_at") < until),
        quotes=history.quotes.filter(pl.col("known_at") < until),
        account_events=history.account_events.filter(pl.col("happened_at") < until),
        accounts=_as_of_one_moment(history.accounts, history.account_changes, "account_id", until),
        overwritten_on_close=frozenset(),
        departures=_filtered(history.departures, pl.col("left_at") < until),
        deletions=_filtered(history.deletions, pl.col("deleted_at") < until),
        stages=history.stages.filter(pl.col("valid_from").is_null() | (pl.col("valid_from") < until)),
    )


def look_back(history: History, until: datetime) -> History:
    """Give history as `cut_history` does, without values of an unknown moment: an export without history has those of its own day.

    What CRMs overwrite, such as stages and close dates, is known of an opportunity without change rows from the first change of the
    column that history tells of any; else from STANDS before the last creation or end of an opportunity, as the export is no older. What is
    dated after it was stored, such as an end expected next month, has not happened and says nothing of the export.
    """
    cut = cut_history(history, until)
    ids = cut.opportunities["opportunity_id"]
    untold = [name for name in _overwritten(history) if until < _told_since(history, name)]
    shown = cut.opportunities.with_columns(
        pl.when(history.change_index.tells_of(ids, name)).then(name).alias(name) for name in untold
    )
    return replace(cut, opportunities=shown)


def count_untold(history: History, cut: History) -> int:
    """Count the opportunities that were open at a cut by `look_back` and of which it blanked the stage or close date."""
    still_open = cut.closings.filter(pl.col("status") == "open").select("opportunity_id")
    stored, known = (
        frame.join(still_open, on="opportunity_id", how="semi", maintain_order="left").join(
            cut.opportunities.select("opportunity_id"), on="opportunity_id", how="semi", maintain_order="left"
        )
        for frame in (history.opportunities, cut.opportunities)
    )
    blank = pl.repeat(value=False, n=stored.height, eager=True)
    for name in {"stage", "expected_close_on"} & set(_overwritten(history)):
        told = history.change_index.tells_of(stored["opportunity_id"], name)
        blank |= stored[name].is_not_null() & known[name].is_null() & ~told
    return int(blank.sum())


def _overwritten(history: History) -> list[str]:
    return sorted(history.overwritten_on_close & set(history.opportunities.columns))


def _told_since(history: History, name: str) -> datetime:
    happened = pl.concat([history.opportunities["created_at"], history.closings["closed_at"]])
    if history.stored_at is not None:
        happened = happened.filter(happened <= history.stored_at)
    changed = history.changes.filter(pl.col("field") == name)["changed_at"]
    known = [moment for moment in (changed.min(), (happened - STANDS).max()) if isinstance(moment, datetime)]
    return min(known, default=datetime.min.replace(tzinfo=UTC))


def _filtered(frame: pl.DataFrame | None, condition: pl.Expr) -> pl.DataFrame | None:
    return None if frame is None else frame.filter(condition)


def _as_of_one_moment(
    records: pl.DataFrame, changes: ChangeIndex | pl.DataFrame, key: str, moment: datetime
) -> pl.DataFrame:
    as_of = pl.lit(moment).cast(pl.Datetime("us", "UTC")).alias("as_of")
    rows = records.select(pl.int_range(pl.len()).alias("row"), as_of, key)
    return as_known(rows, records, changes, key).select(records.columns)


def _open_unless(known: pl.Expr, closings: pl.DataFrame) -> pl.DataFrame:
    return closings.with_columns(
        pl.when(known).then("status").otherwise(pl.lit("open")).alias("status"),
        pl.when(known).then("closed_at").alias("closed_at"),
        pl.when(known).then("won_amount").alias("won_amount"),
    )


def known_opportunities(history: History, as_of: datetime) -> pl.DataFrame:
    """List the opportunities that existed and had not closed at `as_of`, as subjects of a snapshot."""
    created = history.opportunities.select("opportunity_id", "created_at")
    known = (
        created.join(history.closings, on="opportunity_id")
        .filter(pl.col("created_at").is_null() | (pl.col("created_at") < as_of))
        .filter((pl.col("status") == "open") | (pl.col("closed_at") >= as_of))
        .sort("opportunity_id")
        .select("opportunity_id", pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("as_of"))
    )
    return without_departed(history, known)


def without_departed(history: History, subjects: pl.DataFrame) -> pl.DataFrame:
    """Leave out subjects that had left the population before their moment."""
    if history.departures is None:
        return subjects
    left = history.departures.join(subjects, on="opportunity_id").filter(pl.col("left_at") < pl.col("as_of"))
    return subjects.join(left, on=["opportunity_id", "as_of"], how="anti", maintain_order="left")
