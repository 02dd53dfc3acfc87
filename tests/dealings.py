"""Dealings of random companies with their accounts: quotes, contacts, orders, cases and feedback."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import polars as pl

from forecast.history.neighbours import opportunity_events
from forecast.records import Case, Contact, Feedback, Order, Quote
from forecast.snapshot.frames import ACCOUNT_EVENT_TYPES, CONTACT_TYPES, QUOTE_TYPES

SCALES = {"1-5": (1, 5), "10": (0, 10), None: None, "smileys": None}


@dataclass
class Dealings:
    """Records as dictionaries of their tables' columns."""

    quotes: list = field(default_factory=list)
    contacts: list = field(default_factory=list)
    orders: list = field(default_factory=list)
    cases: list = field(default_factory=list)
    feedback: list = field(default_factory=list)


def draw_dealings(world, draw):
    """Draw dealings with the accounts and opportunities of a world."""
    dealings = world.dealings
    for number in range(3):
        name = f"k{number}"
        roles = {"title": draw.maybe("采购"), "decision_role": draw.maybe(draw.choice(("decides", "uses")))}
        dealings.contacts.append({"id": name, "external_id": name, **roles})
    for row in world.opportunities:
        row["contact_id"] = draw.maybe(draw.choice(("k0", "k1", "k2", "gone")))
    for row in world.activities:
        row["contact_id"] = draw.maybe(draw.choice(("k0", "k1", "k2")), 0.3)
    for number in range(2 * len(world.opportunities)):
        name = f"q{number:02d}"
        quote = {"opportunity_id": draw.choice(world.opportunities)["id"], "created_at": draw.maybe(draw.moment())}
        prices = {"amount": draw.maybe(draw.money()), "discount_share": draw.maybe(draw.choice((0.0, 0.1, 0.25)))}
        dealings.quotes.append({"id": name, "external_id": name, **quote, **prices})
    for number in range(len(world.opportunities)):
        name = f"d{number:02d}"
        who = {"id": name, "external_id": name, "account_id": draw.maybe(draw.choice(("a1", "a2", "a3")))}
        of = draw.maybe(draw.choice(world.opportunities)["id"], 0.5)
        money = draw.maybe(draw.money())
        dealings.orders.append(
            {**who, "opportunity_id": of, "ordered_at": draw.maybe(draw.moment(-400)), "amount": money}
        )
        dealings.cases.append({**who, "created_at": draw.maybe(draw.moment(-200))})
        scale = draw.choice(list(SCALES))
        said = {"satisfaction": draw.maybe(float(draw.randint(0, 6))), "scale": scale}
        dealings.feedback.append({**who, "created_at": draw.maybe(draw.moment(-700)), **said})


def write_dealings(session, dealings):
    """Write the records into their tables."""
    for table, rows in (
        (Quote, dealings.quotes),
        (Contact, dealings.contacts),
        (Order, dealings.orders),
        (Case, dealings.cases),
        (Feedback, dealings.feedback),
    ):
        session.add_all(table(**row) for row in rows)


def satisfaction(row):
    """Give the place of an answer on its scale, 0-1; None where there is none."""
    ends = SCALES[row["scale"]]
    if ends is None or row["satisfaction"] is None:
        return None
    share = (row["satisfaction"] - ends[0]) / (ends[1] - ends[0])
    return share if 0 <= share <= 1 else None


def known_orders(world):
    """List orders with the moment from which they count: that of an opportunity once it had closed."""
    by_id = {row["id"]: row for row in world.opportunities}
    for row in world.dealings.orders:
        sale = by_id.get(row["opportunity_id"])
        if row["account_id"] is None or row["ordered_at"] is None or (sale and sale["closed_at"] is None):
            continue
        yield {**row, "happened_at": max(row["ordered_at"], sale["closed_at"]) if sale else row["ordered_at"]}


def with_dealings(history, world):
    """Put the frames that reading these records must give into a history."""
    dealings = world.dealings
    earliest = datetime.min.replace(tzinfo=UTC)
    quotes = [
        (row["opportunity_id"], row["created_at"], row["amount"], row["discount_share"])
        for row in sorted(
            dealings.quotes,
            key=lambda row: (
                row["created_at"] or earliest,
                row["opportunity_id"],
                row["amount"] is not None,
                row["amount"] or 0,
            ),
        )
        if row["created_at"]
    ]
    contacts = [(row["id"], row["title"], row["decision_role"]) for row in dealings.contacts]
    events = [(row["account_id"], row["happened_at"], "order", row["amount"] or 0.0) for row in known_orders(world)]
    events += [
        (row["account_id"], row["created_at"], "case", 0.0)
        for row in dealings.cases
        if row["account_id"] and row["created_at"]
    ]
    events += [
        (row["account_id"], row["created_at"], "feedback", satisfaction(row))
        for row in dealings.feedback
        if row["account_id"] and row["created_at"] and satisfaction(row) is not None
    ]
    told = pl.DataFrame(
        [(account, None, kind, moment, 1, amount) for account, moment, kind, amount in events],
        schema=ACCOUNT_EVENT_TYPES,
        orient="row",
    )
    return replace(
        history,
        quotes=pl.DataFrame(quotes, schema=QUOTE_TYPES, orient="row"),
        contacts=pl.DataFrame(contacts, schema=CONTACT_TYPES, orient="row"),
        account_events=pl.concat([told, opportunity_events(history)]),
    )
