"""Small random companies: plain records first, then the same as a History and as rows in PostgreSQL.

Moments lie on a coarse grid over a leap day and the end of a quarter, so that events often meet to the microsecond.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl
from dealings import Dealings, draw_dealings, write_dealings

from forecast.records import Account, Activity, Change, CustomField, Opportunity, Person, Product, Stage

START = datetime(2024, 2, 26, tzinfo=UTC)
STEP = timedelta(hours=12)
STEPS = 80
INSTANT = timedelta(microseconds=1)
MOMENT = pl.Datetime("us", "UTC")

CUSTOM_FIELDS = (
    ("opportunity", "fit", "number", "tracked"),
    ("opportunity", "note", "text", "tracked"),
    ("opportunity", "级别", "category", "tracked"),
    ("opportunity", "renewal", "date", "fixed"),
    ("opportunity", "urgent", "boolean", "tracked"),
    ("opportunity", "tags", "list", "tracked"),
    ("opportunity", "final_price", "number", "outcome"),
    ("account", "branches", "number", "tracked"),
    ("account", "tier", "category", "fixed"),
)


@dataclass
class World:
    """Records as dictionaries of their tables' columns; `changes` in the order they happened."""

    opportunities: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    activities: list = field(default_factory=list)
    accounts: list = field(default_factory=list)
    people: list = field(default_factory=list)
    products: list = field(default_factory=list)
    stages: list = field(default_factory=list)
    dealings: Dealings = field(default_factory=Dealings)

    def sort(self):
        """Put records in the order in which they are read."""
        self.opportunities.sort(key=lambda row: row["id"])
        self.changes.sort(key=lambda change: (change["changed_at"], change["id"]))


def as_text(name, value):
    """Give a value as PostgreSQL prints it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:.2f}" if name in {"amount", "annual_revenue"} else repr(value)


class _Draw(random.Random):
    def maybe(self, value, missing=0.15):
        return None if self.random() < missing else value

    def moment(self, low=0, high=STEPS):
        nudge = self.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, -1)) * INSTANT
        return START + self.randint(low, high) * STEP + nudge

    def day(self):
        return (START + timedelta(days=self.randint(-5, 80))).date()

    def money(self):
        return self.choice((0.0, -50.25, 100.0, 250.5, round(self.uniform(10, 10_000), 2)))


def _values(draw):
    """Give a maker of random values for each column that varies."""
    return {
        "account_id": lambda: draw.maybe(draw.choice(("a1", "a2", "a3", "gone"))),
        "owner_id": lambda: draw.maybe(draw.choice(("p1", "p2", "p3"))),
        "team_id": lambda: draw.maybe(draw.choice(("north", "华东")), 0.6),
        "product_id": lambda: draw.maybe(draw.choice(("x", "y", "z"))),
        "campaign_id": lambda: draw.maybe("spring", 0.7),
        "source": lambda: draw.maybe(draw.choice(("网络", "referral", ""))),
        "type": lambda: draw.maybe("new"),
        "currency": lambda: draw.maybe("CNY"),
        "stage": lambda: draw.maybe(draw.choice(("线索", "qualified", "报价", "contract", "retired", "won")), 0.05),
        "amount": lambda: draw.maybe(draw.money()),
        "expected_close_on": lambda: draw.maybe(draw.day()),
        "forecast_category": lambda: draw.maybe(draw.choice(("commit", "pipeline"))),
        "seller_probability": lambda: draw.maybe(draw.choice((0.1, 0.35, 1.0))),
        "next_step": lambda: draw.maybe(draw.choice(("回访", "Call back", "send offer, 回访"))),
        "need_fit": lambda: draw.maybe(draw.randint(1, 5)),
        "purchasing_power": lambda: draw.maybe(draw.randint(1, 5)),
        "competition": lambda: draw.maybe(draw.randint(1, 5)),
    }


def _custom_values(draw):
    return {
        "fit": lambda: draw.choice((0.5, 3.0, -1.25)),
        "note": lambda: draw.choice(("", "价格太高", "call back")),
        "级别": lambda: draw.choice(("甲", "乙")),
        "renewal": draw.day,
        "urgent": lambda: draw.random() < 0.5,
        "tags": lambda: draw.sample(["old", "新", "vip"], draw.randint(0, 3)),
        "final_price": draw.money,
    }


_CHANGING = (
    "account_id", "owner_id", "team_id", "product_id", "stage", "stage", "amount", "expected_close_on",
    "expected_close_on", "forecast_category", "seller_probability", "next_step", "need_fit",
)  # fmt: skip
_CHANGING_CUSTOM = ("fit", "note", "级别", "urgent", "tags")


def make_world(seed, size=12):
    """Draw a company with so many opportunities."""
    draw = _Draw(seed)
    world = World()
    _people_and_things(world, draw)
    for number in range(size):
        _opportunity(world, draw, f"o{number:02d}")
    for _ in range(3 * size):
        _activity(world, draw)
    draw_dealings(world, _Draw(f"dealings {seed}"))
    _draw_process(world, _Draw(f"process {seed}"))
    world.changes = list(distinct_changes(world.changes))
    world.sort()
    return world


def _people_and_things(world, draw):
    for position, name in enumerate(("线索", "qualified", "报价", "contract", "won"), start=1):
        row = {"id": name, "external_id": name, "name": name, "position": position}
        world.stages.append(row | {"kind": "won" if name == "won" else "open"})
    for owner, team in (("p1", "north"), ("p2", None)):
        world.people.append({"id": owner, "external_id": owner, "team_id": team, "title": draw.maybe("经理")})
    for product, price in (("x", 99.5), ("y", 0.0)):
        world.products.append({"id": product, "external_id": product, "family": "软件", "list_price": price})
    for account in ("a1", "a2", "a3"):
        row = {
            "id": account,
            "external_id": account,
            "industry": draw.maybe(draw.choice(("制造", "retail"))),
            "region": draw.maybe("华东"),
            "employees": draw.maybe(draw.randint(1, 5000)),
            "annual_revenue": draw.maybe(abs(draw.money())),
            "founded_year": draw.maybe(1998),
            "custom": {"branches": float(draw.randint(1, 9)), "tier": draw.choice(("金", "银"))},
        }
        makers = {
            "industry": lambda: draw.maybe(draw.choice(("制造", "retail", "金融"))),
            "employees": lambda: draw.randint(1, 5000),
            "custom.branches": lambda: float(draw.randint(1, 9)),
        }
        for name in draw.sample(sorted(makers), draw.randint(0, 3)):
            _change(world, draw, "account", row, name, make=makers[name])
        world.accounts.append(row)


def _draw_process(world, draw):
    """Give the company a second pipeline, a stage that comes later, and changes of stages; opportunities get a pipeline."""
    for name, step, place in (("报价", 3, 1), ("线索", 3, 2), ("contract", 30, 3)):
        key = f"renewals:{name}"
        row = {
            "id": key,
            "external_id": key,
            "pipeline_id": "renewals",
            "name": name,
            "position": place,
            "kind": "open",
        }
        world.stages.append(row | {"created_at": START + step * STEP})
    later = {"id": "retired", "external_id": "retired", "name": "retired", "position": 6, "kind": "open"}
    world.stages.append(later | {"created_at": draw.moment(20, 50)})
    makers = {
        "position": lambda: draw.randint(1, 6),
        "kind": lambda: draw.choice(("open", "won")),
        "usual_days": lambda: draw.maybe(draw.choice((2.5, 7.0))),
        "quiet_days_max": lambda: draw.maybe(draw.randint(3, 30)),
    }
    for stage in world.stages:
        stage |= {"usual_days": draw.maybe(4.0, 0.5), "quiet_days_max": draw.maybe(14)}
        for name in draw.sample(sorted(makers), draw.choice((0, 0, 1, 2))):
            _change_stage(world, draw, stage, name, make=makers[name])
    for row in world.opportunities:
        row["pipeline_id"] = draw.choice(("default", "default", "renewals", "elsewhere"))


def _change_stage(world, draw, stage, name, *, make):
    for moment in sorted(draw.moment(10, 70) for _ in range(draw.randint(1, 2))):
        value = make()
        add_change(world, "stage", stage, name, moment, new=as_text(name, value))
        stage[name] = value


def _opportunity(world, draw, name):
    row = {"id": name, "external_id": name, "source_system": "import", "pipeline_id": "default"}
    row["created_at"] = draw.maybe(draw.moment(0, 40))
    makers, custom_makers = _values(draw), _custom_values(draw)
    row |= {column: make() for column, make in makers.items()}
    row["custom"] = {column: make() for column, make in custom_makers.items() if draw.random() < 0.8}
    row["status"] = draw.choice(("open", "open", "won", "lost", "lost"))
    row["closed_at"] = row["won_amount"] = None
    if row["status"] != "open":
        earliest = row["created_at"] or START
        row["closed_at"] = draw.maybe(max(earliest, draw.moment(10, STEPS)), 0.25)
        row["won_amount"] = draw.maybe(abs(draw.money())) if row["status"] == "won" else None
    world.opportunities.append(row)
    for column in draw.sample(_CHANGING, draw.randint(0, 7)):
        _change(world, draw, "opportunity", row, column, make=makers[column])
    for column in draw.sample(_CHANGING_CUSTOM, draw.randint(0, 2)):
        _change(world, draw, "opportunity", row, f"custom.{column}", make=custom_makers[column])


def _change(world, draw, kind, row, name, *, make):
    for moment in sorted(draw.moment() for _ in range(draw.randint(1, 3))):
        before = now(row, name)
        unreadable = name in {"amount", "expected_close_on"} and draw.random() < 0.05
        after = None if unreadable else make()
        add_change(world, kind, row, name, moment, new="soon" if unreadable else as_text(name, after))
        world.changes[-1]["old_value"] = draw.maybe(as_text(name, before))
        put(row, name, after)


def now(row, name):
    """Give the stored value of a column or custom field."""
    return row["custom"].get(name[7:]) if name.startswith("custom.") else row.get(name)


def put(row, name, value):
    """Store a value in a column or custom field."""
    if name.startswith("custom."):
        row["custom"][name[7:]] = value
    else:
        row[name] = value


def add_change(world, kind, row, name, moment, *, new):
    """Record a change from the value as stored; the caller stores the new one."""
    world.changes.append(
        {
            "id": len(world.changes) + 1,
            "kind": kind,
            "record_id": row["id"],
            "field": name,
            "changed_at": moment,
            "old_value": as_text(name, now(row, name)),
            "new_value": new,
            "origin": "test",
        }
    )


def _activity(world, draw):
    name = f"t{len(world.activities):03d}"
    world.activities.append(
        {
            "id": name,
            "external_id": name,
            "opportunity_id": draw.choice(world.opportunities)["id"],
            "created_at": draw.maybe(draw.moment(), 0.4),
            "occurred_at": draw.maybe(draw.moment(), 0.1),
            "type": draw.maybe(draw.choice(("call", "拜访", "person"))),
            "direction": draw.maybe(draw.choice(("Inbound", "outbound", "呼入", "去电", "internal"))),
            "person_id": draw.maybe(draw.choice(("p1", "p2"))),
            "duration_minutes": draw.maybe(30.0),
        }
    )


def write_world(session, world):
    """Write the records into their tables."""
    for table, rows in (
        (Opportunity, world.opportunities),
        (Change, distinct_changes(world.changes)),
        (Activity, world.activities),
        (Account, world.accounts),
        (Person, world.people),
        (Product, world.products),
        (Stage, world.stages),
    ):
        session.add_all(table(**_jsonable(row)) for row in rows)
    write_dealings(session, world.dealings)
    session.add_all(CustomField(kind=k, name=n, type=t, time=when) for k, n, t, when in CUSTOM_FIELDS)
    session.flush()


def _jsonable(row):
    if "custom" not in row:
        return row
    custom = {name: v.isoformat() if isinstance(v, date) else v for name, v in row["custom"].items()}
    return row | {"custom": custom}


def distinct_changes(changes):
    """Leave out changes that repeat another."""
    names = ("kind", "record_id", "field", "changed_at", "new_value")
    return {tuple(change[name] for name in names): change for change in reversed(changes)}.values()


def make_subjects(world, seed, count=40):
    """Draw opportunities at moments that often are those of events; one of unknown creation sometimes at no moment."""
    draw = _Draw(f"subjects {seed}")
    events = [change["changed_at"] for change in world.changes]
    events += [row[name] for row in world.opportunities for name in ("created_at", "closed_at") if row[name]]
    events += [row[name] for row in world.activities for name in ("created_at", "occurred_at") if row[name]]
    subjects = []
    while len(subjects) < count:
        row = draw.choice(world.opportunities)
        as_of = draw.choice((draw.choice(events), draw.moment(), row["created_at"] or draw.moment()))
        if row["created_at"] is None and draw.random() < 0.3:
            as_of = None
        if row["created_at"] is None or row["created_at"] <= as_of:
            subjects.append((row["id"], as_of))
    return subjects_frame(subjects)


def subjects_frame(subjects):
    """Give (opportunity_id, as_of) pairs as a frame."""
    return pl.DataFrame(subjects, schema={"opportunity_id": pl.String, "as_of": MOMENT}, orient="row")
