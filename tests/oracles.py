"""Every feature by a plain loop over records: slow, obvious, and written from docs/features.md, not from the code."""

import math
from datetime import UTC, datetime, time, timedelta

from known_values import changes_of, known, read_text
from stage_worlds import place_then, usual_stay_days
from world_history import custom_types
from worlds import INSTANT

DAY = timedelta(days=1)
DIRECTIONS = {
    "inbound": {"inbound", "incoming", "in", "received", "来", "来电", "呼入", "接收", "收到"},
    "outbound": {"outbound", "outgoing", "out", "sent", "去", "去电", "呼出", "发送", "发出"},
}
WINDOWS = (7, 30, 90)


ATTRIBUTES = (
    "source", "type", "pipeline_id", "currency", "campaign_id", "product_id", "product_family", "product_line",
    "owner_id", "owner_title", "account_id", "account_industry", "account_region", "account_country",
    "account_channel", "account_size", "forecast_category", "contact_title", "contact_decision_role", "amount", "need_fit", "purchasing_power", "competition",
    "seller_probability", "account_employees", "account_annual_revenue", "account_founded_year", "product_list_price",
)  # fmt: skip


def days(duration):
    """Give a duration in days; missing stays missing."""
    return None if duration is None else duration / DAY


def minus(later, earlier):
    """Subtract moments; missing where either is."""
    return None if later is None or earlier is None else later - earlier


def at_midnight(day):
    """Give the first instant of a day."""
    return None if day is None else datetime.combine(day, time(), UTC)


def by_id(rows, key):
    """Find a record by id, or an empty one."""
    return next((row for row in rows if row["id"] == key), {"id": None, "custom": {}})


def attribute(world, row, name, as_of):
    """Give a column of the opportunity, or of its account, owner or product then, by the name it has in a snapshot."""
    if name.startswith("account_") and name != "account_id":
        account = by_id(world.accounts, known(world, "opportunity", row, "account_id", as_of))
        field = name.removeprefix("account_").replace("custom_", "custom.")
        return known(world, "account", account, field, as_of)
    related = {"owner_": world.people, "product_": world.products, "contact_": world.dealings.contacts}
    for prefix, rows in related.items():
        if name.startswith(prefix) and name != prefix + "id":
            return by_id(rows, known(world, "opportunity", row, prefix + "id", as_of)).get(name.removeprefix(prefix))
    own = known(world, "opportunity", row, name.replace("custom_", "custom."), as_of)
    if name == "team_id" and own is None:
        return attribute(world, row, "owner_team_id", as_of)
    return own


def attribute_oracle(world, row, as_of):
    """Give what the opportunity and its account, owner and product are."""
    found = {name: attribute(world, row, name, as_of) for name in ATTRIBUTES}
    step = attribute(world, row, "next_step", as_of)
    found |= {
        "team_id": attribute(world, row, "team_id", as_of),
        "next_step_length": None if step is None else len(step),
    }
    price, amount = found["product_list_price"], found["amount"]
    found["amount_to_list_price"] = amount / price if price and amount is not None else None
    return found


def custom_oracle(world, row, as_of):
    """Give custom fields: lengths of texts and lists, days until a date, numbers, categories as they are."""
    found = {}
    for name, kind in custom_types().items():
        value = attribute(world, row, name, as_of)
        if value is not None and kind in {"text", "list"}:
            value = len(value)
        if kind == "date":
            value = days(minus(at_midnight(value), as_of))
        found[name] = float(value) if isinstance(value, bool) else value
    return found


def timing_oracle(world, row, as_of):
    """Give age, calendar and the expected close."""
    created = row["created_at"]
    expected = at_midnight(known(world, "opportunity", row, "expected_close_on", as_of))
    quarter_end = None
    if as_of:
        month = (as_of.month - 1) // 3 * 3 + 4
        quarter_end = datetime(as_of.year + month // 12, month % 12, 1, tzinfo=UTC)
    return {
        "age_days": days(minus(as_of, created)),
        "moment_month": str(as_of.month) if as_of else None,
        "created_weekday": str(created.isoweekday()) if created else None,
        "created_hour": float(created.hour) if created else None,
        "quarter_end_days": days(minus(quarter_end, as_of)),
        "expected_close_days": days(minus(expected, as_of)),
        "planned_duration_days": days(minus(expected, created)),
    }


def earlier_changes(world, row, field, as_of):
    """List what had changed strictly before a moment."""
    changes = changes_of(world, "opportunity", row["id"], field)
    return [change for change in changes if as_of is not None and change["changed_at"] < as_of]


def stage_oracle(world, row, as_of, plan):
    """Give the stage, since when, and the steps that led to it."""
    moves = earlier_changes(world, row, "stage", as_of)

    def place(name, moment):
        return place_then(world, pipeline_id=row.get("pipeline_id"), name=name, as_of=moment)

    steps = []
    left = None
    for move in moves:
        origin = left if move["old_value"] is None else move["old_value"]
        places = [place(name, move["changed_at"]) for name in (origin, move["new_value"])]
        if None not in places:
            steps.append(places[1] - places[0])
        left = move["new_value"]
    stage = known(world, "opportunity", row, "stage", as_of)
    stage_days = days(minus(as_of, moves[-1]["changed_at"] if moves else row["created_at"]))
    usual = usual_stay_days(world, pipeline_id=row.get("pipeline_id"), stage=stage, as_of=as_of)
    reached = {}
    for name in plan.stages:
        entries = [move["changed_at"] for move in moves if move["new_value"] == name]
        reached[f"reached_{name}_days"] = days(minus(as_of, min(entries, default=None)))
    return {
        "stage": stage,
        "stage_position": place(stage, as_of),
        "stage_days": stage_days,
        "stage_pace": None if stage_days is None or not usual else stage_days / usual,
        "stage_change_count": len(moves),
        "stage_backward_count": sum(step < 0 for step in steps),
        "stage_skip_count": sum(step > 1 for step in steps),
        **reached,
    }


def movement_oracle(world, row, as_of):
    """Give how the close date, the owner and the amount had moved."""
    moves = [
        (read_text("expected_close_on", change["old_value"]), read_text("expected_close_on", change["new_value"]))
        for change in earlier_changes(world, row, "expected_close_on", as_of)
    ]
    moves = [(old, new) for old, new in moves if old and new]
    amounts = earlier_changes(world, row, "amount", as_of)
    first = read_text("amount", amounts[0]["old_value"]) if amounts else None
    sums = [(read_text("amount", change["old_value"]), read_text("amount", change["new_value"])) for change in amounts]
    sums = [(old, new) for old, new in sums if old is not None and new is not None]
    amount = known(world, "opportunity", row, "amount", as_of)
    return {
        "close_date_push_count": sum(new > old for old, new in moves),
        "close_date_pull_count": sum(new < old for old, new in moves),
        "owner_change_count": len(earlier_changes(world, row, "owner_id", as_of)),
        "amount_change_count": len(amounts),
        "amount_raise_count": sum(new > old for old, new in sums),
        "amount_cut_count": sum(new < old for old, new in sums),
        "amount_change_share": amount / first - 1 if first and amount is not None else 0.0,
    }


def activity_oracle(world, row, as_of, plan):
    """Give what was done before a moment and what was planned then for after it."""
    seen = [
        activity
        for activity in world.activities
        if activity["opportunity_id"] == row["id"]
        and as_of is not None
        and activity["occurred_at"] is not None
        and (activity["created_at"] or activity["occurred_at"]) < as_of
    ]
    done = [activity for activity in seen if activity["occurred_at"] < as_of]
    ahead = [activity["occurred_at"] - as_of for activity in seen if activity["occurred_at"] >= as_of]

    def quiet(activities):
        return min((days(as_of - activity["occurred_at"]) for activity in activities), default=None)

    def count(name, activities, windows):
        within = {f"_{window}d": window * DAY for window in windows}
        lately = {end: sum(as_of - one["occurred_at"] <= span for one in activities) for end, span in within.items()}
        return {f"{name}_count{end}": many for end, many in lately.items()} | {f"{name}_count": len(activities)}

    found = {
        "activity_silence_days": quiet(done),
        "active_person_count": len({activity["person_id"] for activity in done} - {None}),
        "active_contact_count": len({activity.get("contact_id") for activity in done} - {None}),
        "active_day_count": len({activity["occurred_at"].date() for activity in done}),
        "planned_activity_count": len(ahead),
        "next_activity_days": days(min(ahead, default=None)),
    }
    found |= count("activity", done, WINDOWS)
    for name, words in DIRECTIONS.items():
        found |= count(f"{name}_activity", [one for one in done if (one["direction"] or "").lower() in words], WINDOWS)
    for kind in plan.activity_types:
        of_kind = [activity for activity in done if activity["type"] == kind]
        found |= count(f"activity_{kind}", of_kind, WINDOWS if kind in plan.recent_types else ())
        found[f"activity_{kind}_silence_days"] = quiet(of_kind)
    return found


def tenths(world):
    """Number the closed opportunities without any date, in tenths."""
    undated = [
        row["id"]
        for row in sorted(world.opportunities, key=lambda row: row["id"])
        if row["status"] != "open" and row["created_at"] is None and row["closed_at"] is None
    ]
    return {name: position % 10 for position, name in enumerate(undated)}


def earlier_outcomes(world, row, key, value, as_of):
    """List won (True) or lost of what had closed before a moment with the same value of a key at its closing."""
    return [other["status"] == "won" for other in earlier_closings(world, row, key, value, as_of)]


def earlier_closings(world, row, key, value, as_of):
    """List what had closed before a moment with the same value of a key at its closing."""
    fold = tenths(world)
    found = []
    for other in world.opportunities:
        if other["status"] == "open":
            continue
        if other["closed_at"] is not None:
            counts = as_of is not None and other["closed_at"] < as_of
        else:
            counts = other["created_at"] is None and fold[other["id"]] != fold.get(row["id"])
        end = None if other["closed_at"] is None else other["closed_at"] + INSTANT
        if counts and (key is None or attribute(world, other, key, end) == value):
            found.append(other)
    return found


def won_log_amounts(world, closings):
    """List the logarithms of the amounts above 0 at which opportunities were won."""
    won = [other for other in closings if other["status"] == "won"]
    ends = [None if other["closed_at"] is None else other["closed_at"] + INSTANT for other in won]
    amounts = [attribute(world, other, "amount", end) for other, end in zip(won, ends, strict=True)]
    return [math.log(one) for one in amounts if one is not None and one > 0]


def rate_oracle(world, row, as_of, plan):
    """Give the shrunk share won against that of all, and the share of closings, of each key."""
    everything = earlier_outcomes(world, row, None, None, as_of)
    found = {}
    for key in plan.rates:
        name = key.removesuffix("_id")
        value = attribute(world, row, key, as_of)
        same = earlier_outcomes(world, row, key, value, as_of)
        lift = (sum(same) * len(everything) / sum(everything) + 10) / (len(same) + 10) if sum(everything) else None
        found[f"{name}_win_lift"] = None if value is None else lift
        found[f"{name}_closed_share"] = None if value is None or not everything else len(same) / len(everything)
    return found
