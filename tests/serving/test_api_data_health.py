"""What the API says of the health of the data."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from forecast.registry import make_live, write_version
from forecast.store import unit_of_work
from serving.api.data_health import live_experiments

PATH = "/v1/data-health"
CONFIG = 'population = "opportunity"\n[data]\nclosed_min = 1000\n'


def spoil(engine):
    """Make the amount of one closed opportunity negative; give its id."""
    with unit_of_work(engine) as session:
        return session.scalar(
            sa.text("UPDATE opportunity SET amount = -5 WHERE id = 'O0000001' AND status <> 'open' RETURNING id")
        )


def test_a_finding_says_what_where_and_what_to_do(client, stored):
    """It has its code, place, count, examples and words; errors come first."""
    spoilt = spoil(stored)
    answer = client.get(PATH).json()
    first = answer["findings"][0]
    assert (first["code"], first["severity"], first["kind"], first["field"]) == (
        "H102", "error", "opportunity", "amount",
    )  # fmt: skip
    assert (first["count"], first["example_ids"], first["measure"]) == (1, [spoilt], None)
    assert first["total"] > 1
    assert (first["title"], first["extent"]) == ("Negative amount", f"1 of {first['total']}")
    assert all((first["meaning"], first["remedy"]))


def test_findings_are_in_the_language_asked_for(client, stored):
    """`language` goes before everything else."""
    spoil(stored)
    answer = client.get(PATH, params={"language": "zh"})
    assert answer.headers["Content-Language"] == "zh"
    assert answer.json()["findings"][0]["title"] == "金额为负"


def test_coverage_and_history_are_counted(client, clock):
    """Each field of each kind of record has its share; the moment is the service's clock."""
    answer = client.get(PATH).json()
    amount = next(row for row in answer["coverage"] if (row["kind"], row["field"]) == ("opportunity", "amount"))
    assert amount["total"] == 400
    assert amount["share"] == pytest.approx(amount["filled"] / 400)
    assert answer["staged_share"] == 1
    assert answer["checked_at"] == clock.now.isoformat().replace("+00:00", "Z")


def test_what_training_needs_is_read_from_the_live_experiments(version):
    """A version says by its config how much it learns from; one without a config says nothing."""
    configured = replace(version, bundle=version.bundle | {"config": CONFIG})
    assert live_experiments([configured]) == {version.name: {"population": "opportunity", "data": {"closed_min": 1000}}}
    assert live_experiments([version]) == {}


def test_readiness_is_of_every_model(settings, version, clock, open_client):
    """Too few outcomes for a live version's experiment are a finding, with what is there and what is needed."""
    configured = replace(version, bundle=version.bundle | {"config": CONFIG})
    write_version(settings.models_folder, configured, "# card")
    make_live(settings.models_folder, version.name, version.version, since=clock.now - timedelta(days=1), why="tested")
    answer = open_client(settings).get(PATH).json()
    ready = {row["model"]: row for row in answer["readiness"]}
    assert ready.keys() == {"win_probability", "lead_conversion", "customer_tier", "revenue_forecast"}
    needs = {need["what"]: need for need in ready["win_probability"]["needs"]}
    assert (needs["won"]["needed"], ready["win_probability"]["enough"]) == (1000, False)
    short = {found["field"]: found["count"] for found in answer["findings"] if found["code"] == "H701"}
    assert short == {what: need["found"] for what, need in needs.items()}


def test_it_needs_a_key(client):
    """What is wrong with the data is not for everybody."""
    assert client.get(PATH, headers={"Authorization": ""}).status_code == 401
