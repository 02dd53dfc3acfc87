"""Features of dealings with the account, of quotes and of words, by a plain loop; and all features of a subject together."""

import math

from dealings import known_orders, satisfaction
from oracles import (
    DAY,
    activity_oracle,
    attribute,
    attribute_oracle,
    by_id,
    custom_oracle,
    days,
    earlier_closings,
    known,
    minus,
    movement_oracle,
    rate_oracle,
    stage_oracle,
    timing_oracle,
    won_log_amounts,
)
from worlds import INSTANT


def told_oracle(world, row, as_of, plan):
    """Give which of the planned entries lists have, and which of the planned words texts."""
    found = {}
    for kind, planned in (("has", plan.entries), ("says", plan.words)):
        for name, listed in planned.items():
            value = attribute(world, row, name, as_of)
            within = value.lower() if isinstance(value, str) else value
            found |= {f"{name}_{kind}_{one}": None if value is None else float(one in within) for one in listed}
    return found


def quote_oracle(world, row, as_of):
    """Give the number of quotes, and how the last one stands to the opportunity."""
    seen = [
        quote
        for quote in world.dealings.quotes
        if quote["opportunity_id"] == row["id"] and as_of and quote["created_at"] and quote["created_at"] < as_of
    ]

    def order(quote):
        values = [quote["created_at"]]
        for name in ("amount", "discount_share"):
            values += [quote[name] is not None, quote[name] or 0]
        return values

    last = max(seen, key=order, default={"created_at": None, "amount": None, "discount_share": None})
    amount = attribute(world, row, "amount", as_of)
    return {
        "quote_count": len(seen),
        "quote_silence_days": days(minus(as_of, last["created_at"])),
        "quote_to_amount": last["amount"] / amount if amount and last["amount"] is not None else None,
        "quote_discount_share": last["discount_share"],
    }


def account_oracle(world, row, as_of):
    """Give what the account had bought, asked and said before, and what else was open with it."""
    account = attribute(world, row, "account_id", as_of)

    def seen(rows, moment, within=None):
        return [
            one
            for one in rows
            if one["account_id"] == account
            and as_of is not None
            and one[moment] is not None
            and one[moment] < as_of
            and (within is None or one[moment] >= as_of - within * DAY)
        ]

    orders, lately = seen(known_orders(world), "happened_at"), seen(known_orders(world), "happened_at", 365)
    said = [satisfaction(one) for one in seen(world.dealings.feedback, "created_at", 365)]
    said = [share for share in said if share is not None]
    others = [
        other
        for other in world.opportunities
        if other["id"] != row["id"]
        and other["created_at"]
        and (other["status"] == "open" or other["closed_at"])
        and as_of
        and other["created_at"] < as_of
    ]
    beside = [
        known(world, "opportunity", other, "amount", as_of) or 0.0
        for other in others
        if (other["status"] == "open" or other["closed_at"] >= as_of)
        and known(world, "opportunity", other, "account_id", as_of) == account
    ]
    newer = [
        other
        for other in others
        if row["created_at"]
        and other["created_at"] >= row["created_at"]
        and known(world, "opportunity", other, "account_id", other["created_at"] + INSTANT) == account
    ]
    found = {
        "account_order_count": len(orders),
        "account_order_count_365d": len(lately),
        "account_order_amount_365d": sum(one["amount"] or 0 for one in lately),
        "account_order_silence_days": min((days(as_of - one["happened_at"]) for one in orders), default=None),
        "account_case_count_90d": len(seen(world.dealings.cases, "created_at", 90)),
        "account_satisfaction": sum(said) / len(said) if said else None,
        "account_open_count": len(beside),
        "account_open_amount": sum(beside),
        "account_newer_count": len(newer) if row["created_at"] else None,
    }
    return found if account is not None else dict.fromkeys(found)


def amount_oracle(world, row, as_of):
    """Give the amount against the geometric mean of those won before, of all and of those that share a key."""
    amount = attribute(world, row, "amount", as_of)
    amount = amount if amount is not None and amount > 0 else None

    def logs(key):
        value = None if key is None else attribute(world, row, key, as_of)
        if key is not None and value is None:
            return None
        return won_log_amounts(world, earlier_closings(world, row, key, value, as_of))

    everything = logs(None)
    usual = sum(everything) / len(everything) if everything else None
    found = {"amount_to_usual": amount / math.exp(usual) if amount and usual is not None else None}
    for key in ("owner_id", "product_id", "account_id", "account_industry"):
        own = logs(key)
        if amount is None or usual is None or own is None:
            found[f"amount_to_{key.removesuffix('_id')}_usual"] = None
        else:
            found[f"amount_to_{key.removesuffix('_id')}_usual"] = amount / math.exp(
                (sum(own) + 10 * usual) / (len(own) + 10)
            )
    return found


def feature_oracle(world, opportunity_id, as_of, plan):
    """Give all features of one subject."""
    row = by_id(world.opportunities, opportunity_id)
    return {
        **attribute_oracle(world, row, as_of),
        **custom_oracle(world, row, as_of),
        **told_oracle(world, row, as_of, plan),
        **timing_oracle(world, row, as_of),
        **stage_oracle(world, row, as_of, plan),
        **movement_oracle(world, row, as_of),
        **activity_oracle(world, row, as_of, plan),
        **quote_oracle(world, row, as_of),
        **account_oracle(world, row, as_of),
        **amount_oracle(world, row, as_of),
        **rate_oracle(world, row, as_of, plan),
    }
