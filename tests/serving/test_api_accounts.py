from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from buyers import FIRST, simulate_buyers
from typer.testing import CliRunner

from forecast.accounts.alerts import ALERT_KINDS
from forecast.accounts.scoring import score_customers
from forecast.accounts.writing import write_account_scores
from forecast.cli import app
from forecast.records import Account, AccountScore
from forecast.registry import make_live, write_version
from forecast.store import unit_of_work
from training.tier_config import read_tier_experiment
from training.tiers import train_tiers

NOW = FIRST + timedelta(days=400)
MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="session")
def buyers():
    """Customers whose rates and values differ."""
    return simulate_buyers(11, count=150)


@pytest.fixture(scope="session")
def tier_version(buyers):
    """A version of customer tiers, learnt from them."""
    experiment = read_tier_experiment(MODELS, "customer_tier")
    return train_tiers(
        buyers, experiment, until=NOW, horizon_days=100, version_id="20240205T000000Z", step=lambda _: None
    ).candidate


@pytest.fixture
def scores(stored, buyers, tier_version):
    """Scores of two moments in the table; one account has a row of its own."""
    found = [score_customers(buyers, tier_version, as_of=NOW - timedelta(days=days)) for days in (30, 0)]
    with unit_of_work(stored) as session:
        for one in found:
            write_account_scores(session, one)
        top = found[1].sort("expected_revenue", descending=True)["account_id"][0]
        session.add(Account(id=top, external_id=top, name="上海 & Söhne", region="East"))
    return found[1]


@pytest.fixture
def live_tiers(settings, tier_version):
    """Serve the version."""
    write_version(settings.models_folder, tier_version, "# card")
    make_live(settings.models_folder, "customer_tier", tier_version.version, since=NOW, why="passed its gates")
    return tier_version


def test_accounts_are_listed_by_value_page_by_page(scores, client):
    """All scored accounts come once, the most valuable first, and a cursor goes on where a page ended."""
    ids, cursor = [], None
    while True:
        page = client.get("/v1/accounts", params={"limit": 60, **({"cursor": cursor} if cursor else {})}).json()
        ids += [one["id"] for one in page["accounts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert ids == scores.sort("expected_revenue", "account_id", descending=[True, False])["account_id"].to_list()


@pytest.mark.parametrize(("name", "value"), [("tier", "A"), ("tier", "C"), ("potential", "dormant"), ("overdue", True)])
def test_lists_are_narrowed(scores, client, name, value):
    """Only accounts of that tier, potential or state are listed."""
    found = client.get("/v1/accounts", params={name: value, "limit": 500}).json()["accounts"]
    assert {one["id"] for one in found} == set(scores.filter(scores[name] == value)["account_id"])
    assert found


def test_an_account_tells_its_value_and_trend(scores, client):
    """The newest score with bounds, reasons and a strategy in the language asked for; then the scores before it."""
    row = scores.sort("expected_revenue", descending=True).row(0, named=True)
    found = client.get(f"/v1/accounts/{row['account_id']}", params={"language": "zh"}).json()
    assert (found["name"], found["region"]) == ("上海 & Söhne", "East")
    value = found["value"]
    assert value["revenue"]["expected"] == row["expected_revenue"]
    assert value["revenue"]["low"] <= value["revenue"]["expected"] <= value["revenue"]["high"]
    assert value["tier"] == row["tier"] == "A"
    assert "客户" in value["reasons"][0]["sentence"]
    assert value["strategy"].endswith("。")
    assert [one["as_of"] for one in found["trend"]] == ["2024-02-05T00:00:00Z", "2024-01-06T00:00:00Z"]


def test_an_account_without_a_score_is_not_there(scores, client):
    """The sentence says which command gives it one."""
    assert scores.height
    answer = client.get("/v1/accounts/nobody")
    assert answer.status_code == 404
    assert "forecast score customer_tier" in answer.json()["detail"]


def test_customers_that_are_sent_are_scored_like_stored_ones(live_tiers, buyers, client):
    """Sent with the same orders, all customers get the values of `forecast score`; nothing is stored."""
    expected = score_customers(buyers, live_tiers, as_of=NOW)
    wanted = expected.head(40)
    sent = [
        {
            "id": account,
            "orders": [
                {"ordered_at": moment.isoformat(), "amount": amount}
                for _, moment, amount in buyers.orders.filter(buyers.orders["account_id"] == account).iter_rows()
            ],
        }
        for account in wanted["account_id"]
    ]
    late = {"id": "later", "orders": [{"ordered_at": (NOW + timedelta(days=1)).isoformat(), "amount": 5}]}
    answer = client.post("/v1/accounts/score", json={"as_of": NOW.isoformat(), "accounts": [late, *sent]})
    assert answer.status_code == 200, answer.json()
    first, *found = answer.json()["accounts"]
    assert first == {"id": "later", "value": None}
    for one, row in zip(found, wanted.iter_rows(named=True), strict=True):
        assert one["value"]["revenue"]["expected"] == pytest.approx(row["expected_revenue"])
        assert one["value"]["probability_active"] == pytest.approx(row["probability_active"])
    assert client.get("/v1/accounts").json()["accounts"] == []


def test_a_customer_that_is_sent_alone_is_compared_with_those_of_the_training(live_tiers, buyers, client):
    """Reasons, tier and level are what they are among all customers, not among those that happen to be sent together."""
    row = score_customers(buyers, live_tiers, as_of=NOW).sort("expected_revenue").row(-1, named=True)
    bought = buyers.orders.filter(
        pl.col("account_id") == row["account_id"], pl.col("ordered_at") > FIRST + timedelta(60)
    )
    orders = [{"ordered_at": moment.isoformat(), "amount": amount} for _, moment, amount in bought.iter_rows()]
    sent = {"as_of": NOW.isoformat(), "accounts": [{"id": row["account_id"], "orders": orders}]}
    value = client.post("/v1/accounts/score", json=sent).json()["accounts"][0]["value"]
    assert (value["tier"], value["level"]) == ("A", "learnt")
    usual = {reason["feature"]: reason["usual"] for reason in row["reasons"]}
    assert {
        one["feature"]: one["usual"] for one in value["reasons"] if one["feature"] in usual
    }.items() <= usual.items()
    assert any(one["value"] != one["usual"] for one in value["reasons"])


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        ([{"id": "a", "orders": []}], "accounts"),
        ([{"id": "a", "orders": [{"ordered_at": "soon"}]}], "ordered_at"),
        ([{"id": "a", "orders": [{"ordered_at": "2024-01-01"}]}] * 2, "sent twice"),
    ],
)
def test_what_can_t_be_scored_is_refused(live_tiers, client, accounts, told):
    """The problem says where it is."""
    assert live_tiers
    answer = client.post("/v1/accounts/score", json={"accounts": accounts})
    assert answer.status_code == 422
    assert told in answer.text


def test_without_a_live_version_scoring_is_unavailable(client):
    """503 says what to run; lists go on."""
    answer = client.post(
        "/v1/accounts/score", json={"accounts": [{"id": "a", "orders": [{"ordered_at": "2024-01-01"}]}]}
    )
    assert answer.status_code == 503
    assert "forecast train customer_tier" in answer.json()["detail"]
    assert client.get("/v1/accounts").json() == {"accounts": [], "next_cursor": None}


def test_live_tiers_are_told_among_the_models(live_tiers, client):
    """GET /v1/models lists customer tiers like any other model."""
    assert live_tiers.version in client.get("/v1/models").text


def test_alerts_are_listed_with_what_to_do(scores, client, live_tiers):
    """Accounts with an alert come the most valuable first; a kind that is not given says why."""
    found = client.get("/v1/accounts/alerts", params={"limit": 500}).json()
    with_alert = scores.filter(pl.col("alerts").list.len() > 0).sort(
        "expected_revenue", "account_id", descending=[True, False]
    )
    assert [one["id"] for one in found["accounts"]] == with_alert["account_id"].to_list()
    evidence = live_tiers.bundle["evidence"]
    assert {one["kind"] for one in found["absent"]} == {kind for kind in ALERT_KINDS if not evidence[kind]["passed"]}
    given = {alert["kind"] for one in found["accounts"] for alert in one["value"]["alerts"]}
    assert given <= {kind for kind in ALERT_KINDS if evidence[kind]["passed"]}


@pytest.fixture
def called(scores, stored):
    """Give three accounts an alert each, of two kinds."""
    ids = scores.sort("expected_revenue", "account_id", descending=[True, False])["account_id"].head(3).to_list()
    kinds = dict(zip(ids, ("churn_risk", "overdue", "churn_risk"), strict=True))
    with unit_of_work(stored) as session:
        session.execute(sa.update(AccountScore).values(alerts=[]))
        for account, kind in kinds.items():
            wanted = sa.update(AccountScore).where(AccountScore.latest, AccountScore.account_id == account)
            session.execute(wanted.values(alerts=[{"kind": kind, "value": 0.2, "usual": 0.5}]))
    return kinds


def test_alerts_are_narrowed_by_kind(called, client):
    """Only accounts with an alert of that kind are listed, each with its sentence."""
    found = client.get("/v1/accounts/alerts", params={"kind": "churn_risk", "language": "zh"}).json()["accounts"]
    assert [one["id"] for one in found] == [account for account, kind in called.items() if kind == "churn_risk"]
    assert "流失风险" in found[0]["value"]["alerts"][0]["sentence"]
    assert client.get("/v1/accounts/alerts", params={"owner_id": "nobody"}).json()["accounts"] == []


def test_the_command_lists_alerts_and_refuses_an_owner_that_nobody_knows(called, settings, live_tiers, monkeypatch):
    """Why and what to do stand below each account; a misspelt id is no empty list."""
    assert live_tiers.name == "customer_tier"
    monkeypatch.setenv("FORECAST_HOME", str(settings.home))
    monkeypatch.setenv("FORECAST_DATABASE_URL", settings.database_url)
    listed, refused = (CliRunner().invoke(app, words) for words in (["alerts"], ["alerts", "--owner", "nobody"]))
    assert listed.exit_code == 0, listed.exception
    assert listed.stdout.count(": tier ") == len(called)
    assert listed.stdout.count("\n  ") >= 2 * len(called)
    assert str(refused.exception) == '"nobody" is the id of no person, and owns no account'


def test_before_any_training_the_command_only_says_what_to_run(tmp_path, monkeypatch):
    """Without a live version nobody was looked at, so that it isn't said that nobody has an alert."""
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    refused = CliRunner().invoke(app, ["alerts"])
    assert "run `forecast train customer_tier` first" in str(refused.exception)
    assert refused.output == ""


def test_a_strategy_that_a_manager_decides_is_given_with_the_account(scores, client):
    """It is in force at once, in its language; the other keeps the product's text, and deciding again makes a new version."""
    row = scores.row(0, named=True)
    path = f"/v1/strategies/{row['tier']}/{row['potential']}"
    product = next(
        one
        for one in client.get("/v1/strategies").json()["strategies"]
        if (one["tier"], one["potential"]) == (row["tier"], row["potential"])
    )
    assert (product["version"], product["decided_by"]) == (None, None)
    first = client.put(path, json={"text_zh": "每周拜访"}).raise_for_status().json()
    assert (first["text_en"], first["text_zh"], first["decided_by"]) == (product["text_en"], "每周拜访", "tests")
    account = client.get(f"/v1/accounts/{row['account_id']}", params={"language": "zh"}).json()
    assert account["value"]["strategy"] == "每周拜访"
    second = client.put(path, json={"text_zh": ""}).raise_for_status().json()
    assert second["version"] > first["version"]
    assert second["text_zh"] == product["text_zh"]


def test_a_strategy_of_no_tier_is_refused(client):
    """What is neither a tier nor a potential, or decides nothing, is said."""
    assert client.put("/v1/strategies/A/new", json={}).status_code == 422
    assert client.put("/v1/strategies/D/new", json={"text_en": "Call."}).status_code == 422
    assert client.put("/v1/strategies/A/happy", json={"text_en": "Call."}).status_code == 422


def test_segments_profile_all_scored_accounts(scores, client):
    """The market counts every scored account once; the one region that is known is a segment of its own."""
    found = client.get("/v1/segments", params={"by": "region"}).raise_for_status().json()
    assert found["market"]["accounts"] == scores.height
    assert {one["name"] for one in found["segments"]} == {"East", None}
    assert sum(one["accounts"] for one in found["segments"]) == scores.height
    assert client.get("/v1/segments", params={"by": "colour"}).status_code == 422
