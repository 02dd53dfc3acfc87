import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console

from forecast.insight.findings import Health, phrases, say_finding
from forecast.insight.health import check_health
from forecast.insight.health_table import render_health
from forecast.records import RECORD_KINDS, Account, CustomField, Lead, Opportunity, Order
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
ENOUGH = 20
DOCS = Path(__file__).parents[2] / "docs" / "health.md"

ONE = "id = (SELECT min(id) FROM opportunity WHERE status = '{status}')"
WON, LOST, OPEN = (ONE.format(status=status) for status in ("won", "lost", "open"))
CLOSED = "status <> 'open'"

# By code: statements that plant it, and where it is then found: (kind, field) with in how many.
PLANTS = {
    "H101": (
        [f"UPDATE opportunity SET closed_at = created_at - interval '1 day' WHERE {WON}"],
        {("opportunity", "closed_at"): 1},
    ),
    "H102": ([f"UPDATE opportunity SET amount = -5 WHERE {LOST}"], {("opportunity", "amount"): 1}),
    "H103": ([f"UPDATE opportunity SET amount = NULL, won_amount = 0 WHERE {WON}"], {("opportunity", None): 1}),
    "H104": (
        [f"UPDATE opportunity SET expected_close_on = created_at::date - 10 WHERE {LOST}"],
        {("opportunity", "expected_close_on"): 1},
    ),
    "H105": ([f"UPDATE opportunity SET created_at = '2026-09-16' WHERE {OPEN}"], {("opportunity", "created_at"): 1}),
    "H106": (
        [
            f"UPDATE opportunity SET closed_at = '2026-09-16' WHERE {LOST}",
            "UPDATE lead SET closed_at = '2026-09-16' WHERE id = (SELECT min(id) FROM lead WHERE status <> 'open')",
        ],
        {("opportunity", "closed_at"): 1, ("lead", "closed_at"): 1},
    ),
    "H107": (
        [
            f"UPDATE opportunity SET seller_probability = 40 WHERE {LOST}",
            f"UPDATE opportunity SET seller_probability = 'NaN' WHERE {WON}",
        ],
        {("opportunity", "seller_probability"): 2},
    ),
    "H108": (
        [f"UPDATE opportunity SET need_fit = 0, competition = 6 WHERE {LOST}"],
        {("opportunity", "need_fit"): 1, ("opportunity", "competition"): 1},
    ),
    "H109": (
        [
            ("UPDATE activity SET opportunity_id = NULL, lead_id = NULL, account_id = NULL, contact_id = NULL WHERE id IN"
            f" (SELECT a.id FROM activity a JOIN opportunity o ON a.opportunity_id = o.id WHERE {CLOSED} LIMIT 7)"),
        ],
        {("activity", None): 7},
    ),
    "H201": (
        [
            f"UPDATE opportunity SET owner_id = 'nobody', product_id = 'nothing' WHERE {WON}",
            "UPDATE account SET parent_id = 'gone' WHERE id = (SELECT min(id) FROM account)",
        ],
        {("opportunity", "owner_id"): 1, ("opportunity", "product_id"): 1, ("account", "parent_id"): 1},
    ),
    "H202": (
        ['UPDATE "case" SET product_id = NULL', "UPDATE order_line SET product_id = NULL", "DELETE FROM product"],
        {("opportunity", "product_id"): 300},
    ),
    "H301": (
        [
            f"UPDATE opportunity SET created_at = '2026-01-01' WHERE {OPEN}",
            f"DELETE FROM activity WHERE opportunity_id = (SELECT id FROM opportunity WHERE {OPEN})",
            f"DELETE FROM change WHERE record_id = (SELECT id FROM opportunity WHERE {OPEN})",
        ],
        {("opportunity", None): 1},
    ),
    "H302": (
        [f"UPDATE opportunity SET created_at = '2026-07-01', expected_close_on = '2026-08-16' WHERE {OPEN}"],
        {("opportunity", "expected_close_on"): 1},
    ),
    "H303": (
        ["UPDATE stage SET required_fields = 'next_step' WHERE name = 'Lead identified'",
         "UPDATE opportunity SET next_step = 'x' WHERE status = 'open'",
         f"UPDATE opportunity SET stage = 'Quoted', next_step = NULL WHERE {OPEN}"],
        {("opportunity", "next_step"): 1},
    ),
    "H304": (
        ["UPDATE opportunity SET stage = 'Quoted' WHERE status = 'open'",
         f"UPDATE opportunity SET stage = 'Contract', created_at = '2026-08-01' WHERE {OPEN}",
         f"DELETE FROM activity WHERE opportunity_id = (SELECT id FROM opportunity WHERE {OPEN})",
         f"DELETE FROM change WHERE record_id = (SELECT id FROM opportunity WHERE {OPEN})",
         "UPDATE stage SET quiet_days_max = 40 WHERE name = 'Contract'"],
        {("opportunity", None): 1},
    ),
    "H305": ([f"UPDATE opportunity SET stage = 'Pilot' WHERE {OPEN}"], {("opportunity", "stage"): 1}),
    "H306": (
        ["UPDATE \"case\" SET closed_at = NULL, created_at = '2026-08-01' WHERE id = (SELECT min(id) FROM \"case\")"],
        {("case", None): 1},
    ),
    "H401": (
        ["INSERT INTO account (id, external_id) SELECT lower(id) || ' ', lower(id) FROM account ORDER BY id LIMIT 1"],
        {("account", "id"): 2},
    ),
    "H501": (["DELETE FROM change WHERE field = 'stage'"], {("opportunity", "stage"): None}),
    "H502": (
        [
            f"UPDATE opportunity SET created_at = NULL WHERE {LOST}",
            "UPDATE lead SET created_at = NULL WHERE id = (SELECT min(id) FROM lead)",
        ],
        {("opportunity", "created_at"): 1, ("lead", "created_at"): 1},
    ),
    "H503": ([f"UPDATE opportunity SET closed_at = NULL WHERE {LOST}"], {("opportunity", "closed_at"): 1}),
    "H601": (
        [
            "INSERT INTO custom_field (kind, name, type) VALUES ('opportunity', 'verdict', 'category')",
            f"UPDATE opportunity SET custom = custom || jsonb_build_object('verdict', status) WHERE {CLOSED}",
        ],
        {("opportunity", "custom.verdict"): None},
    ),
    "H602": (
        [
            "INSERT INTO custom_field (kind, name, type) VALUES ('opportunity', 'survey', 'boolean')",
            f"UPDATE opportunity SET custom = custom || jsonb_build_object('survey', id > 'O0000150') WHERE {CLOSED}",
        ],
        {("opportunity", "custom.survey"): None},
    ),
    "H603": (
        [
            ("INSERT INTO change (kind, record_id, field, changed_at, new_value, old_value, origin)"
            " SELECT 'opportunity', id, 'team_id', closed_at - interval '3 hours', 'T9', team_id, 'import'"
            f" FROM opportunity WHERE {CLOSED} ORDER BY id LIMIT 40"),
        ],
        {("opportunity", "team_id"): 40},
    ),
    "H604": (
        [
            "INSERT INTO custom_field (kind, name, type) VALUES ('opportunity', 'tag', 'category')",
            ("UPDATE opportunity SET custom = custom || jsonb_build_object('tag',"
            " CASE WHEN abs(hashtext(id)) % 10 < 5 AND status <> 'open' THEN status ELSE 'new' END)"),
        ],
        {("opportunity", "custom.tag"): None},
    ),
}  # fmt: skip


def check(engine, closed_min=ENOUGH):
    """Check what is stored."""
    experiments = {model: {"data": {"closed_min": closed_min}} for model in ("win_probability", "lead_conversion")}
    experiments["customer_tier"] = {"data": {"customers_min": 20, "buyers_min": 10}}
    with unit_of_work(engine) as session:
        return check_health(session, now=NOW, experiments=experiments)


def plant(engine, *statements):
    """Spoil the data."""
    with unit_of_work(engine) as session:
        for statement in statements:
            session.execute(sa.text(statement))


def test_a_company_in_order_has_no_findings(company):
    """None of the codes is found where its trouble is not."""
    assert check(company).findings == ()


@pytest.mark.parametrize("code", PLANTS)
def test_planted_trouble_is_found_and_nothing_else(company, code):
    """The finding has its code, place and count, and examples of the records that were spoilt."""
    statements, places = PLANTS[code]
    plant(company, *statements)
    findings = check(company).findings
    assert {found.code for found in findings} == {code}
    assert {(found.kind, found.field) for found in findings} == places.keys()
    for found in findings:
        assert found.count == (places[found.kind, found.field] or found.count)
        assert 0 < found.count <= found.total
        with unit_of_work(company) as session:
            ids = set(session.scalars(sa.select(RECORD_KINDS[found.kind].id)))
        assert set(found.examples) <= ids
        assert len(found.examples) == (0 if code in {"H601", "H604"} else min(5, found.count))


WITHIN_BOUNDS = [
    f"UPDATE opportunity SET closed_at = created_at, amount = 0, won_amount = 0.01 WHERE {WON}",
    f"UPDATE opportunity SET amount = 0, seller_probability = 0, expected_close_on = created_at::date - 1 WHERE {LOST}",
    f"UPDATE opportunity SET seller_probability = 1, need_fit = 1, competition = 5, created_at = '{NOW}' WHERE {OPEN}",
    f"UPDATE opportunity SET created_at = '2026-07-01', expected_close_on = '2026-08-17' WHERE {OPEN}",
    "INSERT INTO account (id, external_id) SELECT 'crm:' || id, id FROM account",
]


@pytest.mark.parametrize("statement", WITHIN_BOUNDS)
def test_what_is_just_within_bounds_is_no_trouble(company, statement):
    """The ends of a range are in it; a date may be a day off, for its time zone; two sources may use the same id."""
    plant(company, statement)
    assert check(company).findings == ()


def test_a_leak_may_be_in_the_account(company):
    """Fields of accounts, owners and products are judged too, and named as theirs."""
    plant(
        company,
        "INSERT INTO account (id, external_id, size) VALUES ('W', 'W', 'partner'), ('L', 'L', 'prospect')",
        f"UPDATE opportunity SET account_id = CASE status WHEN 'won' THEN 'W' ELSE 'L' END WHERE {CLOSED}",
    )
    places = {(found.code, found.kind, found.field) for found in check(company).findings}
    assert places == {("H601", "opportunity", "account_id"), ("H601", "account", "size")}


def needs(health):
    """Give what is there and what is needed, by model and what."""
    return {(row.model, need.what): (need.found, need.needed) for row in health.readiness for need in row.needs}


def test_too_few_outcomes_to_train_are_found(company):
    """What is missing of won and of lost is said by number; what is enough is no finding."""
    health = check(company, 100)
    found = needs(health)
    won, lost = found["win_probability", "won"][0], found["win_probability", "lost"][0]
    assert [(short.code, short.kind, short.field, short.count, short.total) for short in health.findings] == [
        ("H701", "opportunity", "won", won, 100)
    ]
    assert lost >= 100 > won > 0
    enough = {row.model: row.enough for row in health.readiness}
    assert enough == {
        "win_probability": False,
        "lead_conversion": True,
        "customer_tier": True,
        "revenue_forecast": True,
    }


def test_what_each_model_needs_is_counted(engine):
    """Won and lost of opportunities and leads, customers and days of orders, months with revenue; deleted ones apart."""
    old = NOW - timedelta(days=200)
    leads = [
        ("1", "converted", old, None),
        ("2", "disqualified", NOW, None),
        ("3", "open", old, None),
        ("4", "open", NOW, None),
    ]
    orders = [("1", "A", NOW - timedelta(days=70)), ("2", "A", NOW - timedelta(days=5)), ("3", "B", NOW - timedelta(days=39)),
              ("4", "C", NOW + timedelta(days=1))]  # fmt: skip
    with unit_of_work(engine) as session:
        for number, status, created, deleted in [*leads, ("5", "converted", old, NOW)]:
            session.add(Lead(id=number, external_id=number, status=status, created_at=created, deleted_at=deleted))
        for number, account, moment in orders:
            session.add(Order(id=number, external_id=number, account_id=account, ordered_at=moment))
        session.add(Opportunity(id="1", external_id="1", status="won", closed_at=old))
    health = check(engine, 40)
    assert needs(health) == {
        ("win_probability", "won"): (1, 40), ("win_probability", "lost"): (0, 40),
        ("lead_conversion", "won"): (1, 40), ("lead_conversion", "lost"): (2, 40),
        ("customer_tier", "customers"): (2, 20), ("customer_tier", "buyers"): (1, 10),
        ("revenue_forecast", "months"): (3, 12),
    }  # fmt: skip
    short = {(found.code, found.kind, found.field) for found in health.findings if found.code > "H7"}
    assert short == {
        ("H701", "opportunity", "won"), ("H701", "opportunity", "lost"), ("H701", "lead", "won"), ("H701", "lead", "lost"),
        ("H702", "order", "customers"), ("H702", "order", "buyers"), ("H703", "order", "months"),
    }  # fmt: skip


def test_models_of_kinds_that_are_not_used_need_nothing(engine):
    """A company without leads and orders is not told to bring some, but its readiness says so."""
    health = check(engine)
    assert {(found.code, found.kind) for found in health.findings} == {("H701", "opportunity")}
    assert len(health.readiness) == 4


def test_every_code_is_planted():
    """A check that is added needs a test that finds it."""
    assert phrases()["findings"].keys() == PLANTS.keys() | {"H701", "H702", "H703"}


def test_what_is_deleted_is_not_checked(company):
    """A tombstoned record is no trouble, and is not counted as covered."""
    total = next(row.total for row in check(company).coverage if row.kind == "opportunity")
    plant(company, f"UPDATE opportunity SET amount = -5, deleted_at = now() WHERE {LOST}")
    health = check(company)
    assert health.findings == ()
    assert next(row.total for row in health.coverage if row.kind == "opportunity") == total - 1


@pytest.mark.parametrize(
    "sign_of_life",
    [
        "INSERT INTO activity (id, external_id, opportunity_id, occurred_at) SELECT 'x', 'x', id, '{}' FROM opportunity",
        (
            "INSERT INTO change (kind, record_id, field, changed_at, origin)"
            " SELECT 'opportunity', id, 'amount', '{}', 'import' FROM opportunity"
        ),
    ],
)
def test_a_change_or_an_activity_within_90_days_is_a_sign_of_life(engine, sign_of_life):
    """A deal on which something happened 90 days ago is not stale; a day earlier, it is."""
    with unit_of_work(engine) as session:
        session.add(Opportunity(id="o", external_id="o", created_at=NOW - timedelta(days=400)))
    plant(engine, sign_of_life.format((NOW - timedelta(days=91)).isoformat()))
    assert "H301" in {found.code for found in check(engine).findings}
    plant(engine, "DELETE FROM activity", "DELETE FROM change")
    plant(engine, sign_of_life.format((NOW - timedelta(days=90)).isoformat()))
    assert "H301" not in {found.code for found in check(engine).findings}


def test_coverage_counts_columns_and_custom_fields(engine):
    """Each field of each kind that has records is counted, bookkeeping apart."""
    with unit_of_work(engine) as session:
        session.add(CustomField(kind="account", name="tier", type="text"))
        for number, tier in enumerate(["A", None, "B", None]):
            custom = {"tier": tier} if tier else {}
            session.add(Account(id=str(number), external_id=str(number), name="n" if number else None, custom=custom))
    rows = {row.field: (row.filled, row.total, row.share) for row in check(engine).coverage}
    assert rows["name"] == (3, 4, 0.75)
    assert rows["custom.tier"] == (2, 4, 0.5)
    assert rows["industry"] == (0, 4, 0.0)
    assert not {"id", "stored_at", "version", "custom"} & rows.keys()


def test_the_share_with_stage_history_is_measured(company):
    """It is of closed opportunities; half is enough for no finding."""
    assert check(company).staged_share == 1
    plant(
        company,
        "DELETE FROM change WHERE field = 'stage' AND record_id IN (SELECT id FROM opportunity WHERE status = 'won')",
    )
    health = check(company)
    (won, _), (lost, _) = (needs(health)["win_probability", what] for what in ("won", "lost"))
    assert health.staged_share == pytest.approx(lost / (won + lost))
    assert health.findings == ()


def test_a_database_without_records_is_healthy_and_not_ready(engine):
    """There is nothing to find but that nothing is there to learn from."""
    health = check(engine)
    assert {found.code for found in health.findings} == {"H701"}
    assert (health.coverage, health.staged_share) == ((), None)


def test_the_severest_come_first(company):
    """Errors, then warnings, then notes."""
    plant(company, *(statement for code in ("H603", "H302", "H102", "H108") for statement in PLANTS[code][0]))
    assert [found.severity for found in check(company).findings] == ["error", "error", "error", "warning", "note"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Negative amount", "1 of ", "error", "can't be trained yet", "customer_tier can", " not converted ("]),
        ("zh", ["金额为负", "条中 1 条", "错误", "尚不能训练", "customer_tier 可以训练", "未转化 "]),
    ],
)
def test_health_is_laid_out_in_both_languages(company, language, words):
    """Findings, coverage, history and what training needs can be read."""
    plant(company, *PLANTS["H102"][0])
    text = text_of(check(company, 1000), language)
    assert [word for word in words if word not in text] == []


def text_of(health: Health, language):
    """Print to a page."""
    console = Console(width=220, file=StringIO())
    console.print(render_health(health, language))
    return console.file.getvalue()


def test_nothing_found_is_said(company):
    """A clean company gets a sentence rather than an empty table."""
    assert "Nothing was found." in text_of(check(company), "en")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_finding_can_be_said(company, language):
    """Each sentence's placeholders are filled by what its check measures."""
    plant(company, *(statement for code in ("H601", "H602", "H603", "H501") for statement in PLANTS[code][0]))
    findings = check(company, 10_000).findings
    assert {"H501", "H601", "H602", "H603", "H701"} <= {found.code for found in findings}
    for found in findings:
        said = say_finding(found, language)
        assert re.search(r"\d", said.extent)
        assert all((said.title, said.meaning, said.remedy))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_is_documented(language):
    """docs/health.md has a row for each code in each language, in the words that the check uses, and no other."""
    rows = re.findall(r"^\| (H\d{3}) \| (.+) \|$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    expected = [
        (code, " | ".join((words["severity"] if language == "en" else phrases()["severities"][words["severity"]]["zh"],
                           *(words[language][part] for part in ("title", "meaning", "remedy")))))
        for code, words in phrases()["findings"].items()
    ]  # fmt: skip
    assert [row for row in rows if row in expected] == expected
    assert len(rows) == 2 * len(expected)
