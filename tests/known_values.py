"""What a field of a record held at a moment, by a plain loop over its changes."""

import json
from datetime import date

from worlds import CUSTOM_FIELDS, now

from forecast.history import OVERWRITTEN_ON_CLOSE

_COLUMN_KINDS = (
    dict.fromkeys(("need_fit", "purchasing_power", "competition", "employees", "founded_year"), "integer")
    | dict.fromkeys(("position", "quiet_days_max"), "integer")
    | dict.fromkeys(("amount", "seller_probability", "annual_revenue", "usual_days"), "number")
    | {"expected_close_on": "date"}
)
_READERS = {
    "integer": int,
    "number": float,
    "date": date.fromisoformat,
    "boolean": lambda text: text == "true",
    "list": json.loads,
}
CUSTOM_KINDS = {name: kind for _, name, kind, _ in CUSTOM_FIELDS}


def read_text(name, text):
    """Read a value as PostgreSQL prints it; what can't be read is missing."""
    kind = CUSTOM_KINDS.get(name.removeprefix("custom."))
    try:
        value = _READERS.get(kind or _COLUMN_KINDS.get(name), str)(text) if text is not None else None
    except ValueError:
        value = None
    return value


def changes_of(world, kind, record_id, field):
    """List the changes of one field of one record, as they happened."""
    return [
        change
        for change in sorted(world.changes, key=lambda change: change["changed_at"])
        if (change["kind"], change["record_id"], change["field"]) == (kind, record_id, field)
    ]


def known(world, kind, row, field, as_of):
    """Give the value of a field as it stood strictly before a moment; at no moment, as it stood first."""
    changes = changes_of(world, kind, row["id"], field)
    earlier = [change for change in changes if as_of is not None and change["changed_at"] < as_of]
    if earlier:
        return read_text(field, earlier[-1]["new_value"])
    if changes:
        return read_text(field, changes[0]["old_value"])
    if kind == "opportunity" and field in OVERWRITTEN_ON_CLOSE and row["status"] != "open":
        return None
    return now(row, field)
