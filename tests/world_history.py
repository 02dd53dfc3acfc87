"""A random company as the frames that reading its records from the database must give."""

from datetime import UTC, datetime

import polars as pl
from dealings import with_dealings
from stage_worlds import stage_rows
from worlds import CUSTOM_FIELDS, MOMENT, as_text, distinct_changes

from forecast.features import plan_features
from forecast.history import OPPORTUNITY_COLUMNS, OVERWRITTEN_ON_CLOSE
from forecast.records import Account, Person, Product
from forecast.snapshot import History
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.snapshot.stages import STAGE_TYPES
from forecast.store import frame_type

RATES = ("owner_id", "account_id", "source", "product_id", "account_industry", "product_family", "team_id")
_CUSTOM_TYPES = {"number": pl.Float64(), "boolean": pl.Boolean(), "date": pl.Date()}
_CLOSING_TYPES = {"id": pl.String, "status": pl.String, "closed_at": MOMENT, "won_amount": pl.Float64}
_ACCOUNT_NAMES = (
    "industry", "region", "country", "channel", "size", "employees", "annual_revenue", "founded_year",
)  # fmt: skip


def history_of(world):
    """Build the frames that reading these records from the database must give."""
    changes = sorted(distinct_changes(world.changes), key=lambda change: (change["changed_at"], change["id"]))
    history = History(
        opportunities=_opportunity_frame(world),
        closings=_frame(world.opportunities, _CLOSING_TYPES).rename({"id": "opportunity_id"}),
        changes=_change_frame(changes, "opportunity", ""),
        account_changes=_change_frame(changes, "account", "account_"),
        activities=_activity_frame(world),
        accounts=_account_frame(world),
        people=_attribute_frame(world.people, Person, "owner_", ("team_id", "title", "manager_id")),
        products=_attribute_frame(world.products, Product, "product_", ("family", "line", "list_price")),
        stages=pl.DataFrame(stage_rows(world), schema=STAGE_TYPES, orient="row"),
        custom_types=custom_types(),
        overwritten_on_close=OVERWRITTEN_ON_CLOSE,
    )
    return with_dealings(history, world)


def _frame(rows, types):
    return pl.DataFrame([[row[name] for name in types] for row in rows], schema=types, orient="row")


def custom_types():
    """Give the type of each custom column that may enter a snapshot."""
    prefixes = {"opportunity": "custom_", "account": "account_custom_"}
    ordered = sorted(CUSTOM_FIELDS, key=lambda declared: (declared[0] == "account", declared[1]))
    return {prefixes[kind] + name: type_ for kind, name, type_, time in ordered if time != "outcome"}


def _custom_columns(rows, kind, prefix):
    columns = []
    for of, name, type_, time in sorted(CUSTOM_FIELDS, key=lambda declared: declared[1]):
        if of == kind and time != "outcome":
            values = [row["custom"].get(name) for row in rows]
            if type_ == "list":
                values = [as_text(name, value) for value in values]
            columns.append(pl.Series(f"{prefix}custom_{name}", values, dtype=_CUSTOM_TYPES.get(type_, pl.String())))
    return columns


def _opportunity_frame(world):
    columns = [
        pl.Series(
            "opportunity_id" if column.name == "id" else column.name,
            [row.get(column.name) for row in world.opportunities],
            dtype=frame_type(column.type),
        )
        for column in OPPORTUNITY_COLUMNS
    ]
    return pl.DataFrame([*columns, *_custom_columns(world.opportunities, "opportunity", "")])


def _change_frame(changes, kind, prefix):
    rows = [
        [
            change["record_id"],
            prefix + change["field"].replace("custom.", "custom_"),
            *(change[name] for name in ("changed_at", "old_value", "new_value")),
        ]
        for change in changes
        if change["kind"] == kind
    ]
    return pl.DataFrame(rows, schema=CHANGE_TYPES, orient="row")


def _activity_frame(world):
    schema = {
        "opportunity_id": pl.String,
        "occurred_at": MOMENT,
        "type": pl.String,
        "direction": pl.String,
        "person_id": pl.String,
        "contact_id": pl.String,
        "duration_minutes": pl.Float64,
    }
    earliest = datetime.min.replace(tzinfo=UTC)
    ordered = sorted(world.activities, key=lambda row: (row["occurred_at"] or earliest, row["id"]))
    return pl.DataFrame(
        [[*(row.get(name) for name in schema), row["created_at"] or row["occurred_at"]] for row in ordered],
        schema=schema | {"known_at": MOMENT},
        orient="row",
    )


def _account_frame(world):
    frame = _attribute_frame(world.accounts, Account, "account_", _ACCOUNT_NAMES)
    return frame.with_columns(*_custom_columns(world.accounts, "account", "account_"))


def _attribute_frame(rows, table, prefix, names):
    key = {"owner_": "owner_id", "product_": "product_id", "account_": "account_id"}[prefix]
    types = {name: frame_type(table.__table__.c[name].type) for name in names}
    columns = [pl.Series(key, [row["id"] for row in rows], dtype=pl.String)]
    columns += [pl.Series(prefix + name, [row.get(name) for row in rows], dtype=kind) for name, kind in types.items()]
    return pl.DataFrame(columns)


def make_plan(world):
    """Plan the features of a world with all rates."""
    return plan_features(history_of(world), RATES)
