"""When it will close, and reasons: GET /v1/opportunities and /{id}, and the columns of `forecast score --out`."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from forecast.cli import app
from forecast.estimators.win import PriorModel
from forecast.estimators.win_curve import LOST, OPEN, WON, fit_win_curve
from forecast.features import opportunity_features
from forecast.history import read_history
from forecast.records import Opportunity
from forecast.registry import make_live, write_version
from forecast.scoring.closings import closings
from forecast.snapshot import known_opportunities, take_snapshot
from forecast.snapshot.subjects import opportunities_at_ages
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
NOW_TEXT = NOW.isoformat()
MONTHS = ["won_by_2026-09", "won_by_2026-10", "won_by_2026-11"]
DATES = {"expected_close_on": "expected_close_on", "low": "expected_close_low", "high": "expected_close_high"}
EXACT = 1e-12
EDGES_DAYS = (7.0, 15.0, 30.0, 60.0, 120.0, 365.0)


def curve_of(history, version, now):
    """Fit a win curve to what had ended, and to what was open still."""
    features = opportunity_features(take_snapshot(history, opportunities_at_ages(history, (0.0, 30.0))), version.plan)
    ends = features.join(history.closings, on="opportunity_id", how="left", maintain_order="left").select(
        end=pl.col("status").replace_strict({"open": OPEN, "won": WON, "lost": LOST}),
        took=(pl.col("closed_at").fill_null(now) - pl.col("as_of")).dt.total_hours() / 24,
    )
    encoding = version.estimator.encoding
    return fit_win_curve(
        encoding.matrix(features),
        ends["took"].to_numpy(),
        ends["end"].cast(pl.Int64).to_numpy(),
        edges_days=EDGES_DAYS,
        category_positions=encoding.category_positions,
        seed=1,
    )


def told(history, version, subjects):
    """Tell when subjects are expected to end."""
    features = opportunity_features(take_snapshot(history, subjects), version.plan)
    return closings(features, version, version.estimator.predict(features))


def serve(settings, version, since):
    """Let a version serve."""
    write_version(settings.models_folder, version, "# card")
    make_live(settings.models_folder, version.name, version.version, since=since, why="passed its gates")
    return version


@pytest.fixture
def history(stored):
    """All that is stored."""
    with unit_of_work(stored) as session:
        return read_history(session)


@pytest.fixture
def curved(settings, version, history):
    """Serve the version with a win curve."""
    estimator = replace(version.estimator, curve=curve_of(history, version, NOW))
    bundle = {**version.bundle, "config": ""}
    return serve(settings, replace(version, version="curved", estimator=estimator, bundle=bundle), NOW)


@pytest.fixture
def prior(settings, version):
    """Serve the share won so far."""
    estimator = PriorModel(ages_days=(0.0,), shares=(0.25,))
    bundle = {**version.bundle, "config": ""}
    return serve(settings, replace(version, version="share", basis="prior", estimator=estimator, bundle=bundle), NOW)


@pytest.fixture
def score(settings, tmp_path, monkeypatch):
    """Give a function that runs `forecast score` into the score table and into a file, and reads the file."""
    monkeypatch.setenv("FORECAST_HOME", str(settings.home))
    monkeypatch.setenv("FORECAST_DATABASE_URL", settings.database_url)

    def run():
        for more in ((), ("--out", str(tmp_path / "scores.csv"))):
            found = CliRunner().invoke(app, ["score", "--as-of", NOW_TEXT, *more])
            assert found.exit_code == 0, found.output
        return pl.read_csv(tmp_path / "scores.csv", try_parse_dates=True)

    return run


@pytest.fixture
def read(settings, open_client):
    """Give a function that reads one opportunity over the API."""
    client = open_client(settings)
    return lambda name: client.get(f"/v1/opportunities/{name}").raise_for_status().json()


def test_file_and_api_say_the_same(curved, score, read):
    """Dates and probabilities of the file are those of the API, but for the rounding of sums over many rows or one."""
    rows = score()
    assert curved.version == rows["model_version"].unique().item()
    assert rows.height > 20
    for row in rows.iter_rows(named=True):
        closing = read(row["opportunity_id"])["closing"]
        assert {name: row[column].isoformat() for name, column in DATES.items()} == {
            name: closing[name] for name in DATES
        }
        assert closing["probability_of_slipping"] == pytest.approx(row["probability_of_slipping"], rel=EXACT)
        won_by = [month["probability"] for month in closing["won_by"]]
        assert won_by == pytest.approx([row[name] for name in MONTHS], rel=EXACT)
        assert [month["month_end"] for month in closing["won_by"]] == ["2026-09-30", "2026-10-31", "2026-11-30"]


@pytest.mark.usefixtures("curved")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_reasons_of_the_file_are_said_as_the_api_says_them(score, settings, open_client, monkeypatch, language):
    """Each reason has its sentence, in the language of the settings, with the names that people know."""
    monkeypatch.setenv("FORECAST_LANGUAGE", language)
    client = open_client(settings)
    said = []
    for row in score().head(20).iter_rows(named=True):
        path, asked = f"/v1/opportunities/{row['opportunity_id']}", {"language": language}
        answer = client.get(path, params=asked).raise_for_status().json()["score"]
        for side in ("reasons_for", "reasons_against"):
            sentences = [reason["sentence"] for reason in json.loads(row[side])]
            assert sentences == [reason["sentence"] for reason in answer[side]]
            said += sentences
    assert len(set(said)) > 10


def test_what_is_sent_is_told_when_it_will_close(curved, score, read, settings, open_client):
    """An opportunity that is sent gets a closing of its own, in the shape of a stored one's."""
    name = score()["opportunity_id"][0]
    stored = read(name)
    assert curved.version == stored["score"]["model_version"]
    answer = open_client(settings).post(
        "/v1/opportunities/score", json={"as_of": NOW_TEXT, "opportunities": [{"id": "new"}]}
    )
    closing = answer.raise_for_status().json()["scores"][0]["closing"]
    assert closing.keys() == stored["closing"].keys()
    assert [month["month_end"] for month in closing["won_by"]] == ["2026-09-30", "2026-10-31", "2026-11-30"]
    assert closing["won_by"] != stored["closing"]["won_by"]


def test_the_list_says_what_the_record_says(curved, score, read, settings, open_client):
    """Each row of a list has the closing that was kept with its score, and nothing is computed anew."""
    score()
    rows = open_client(settings).get("/v1/opportunities?limit=10").raise_for_status().json()["opportunities"]
    assert {row["score"]["model_version"] for row in rows} == {curved.version}
    for row in rows:
        assert row["closing"] == read(row["id"])["closing"]
        assert row["closing"]["won_by"][-1]["probability"] <= row["score"]["probability"]


def test_a_parquet_file_has_the_same_columns_with_their_types(curved, score, tmp_path):
    """Dates are dates, moments are moments, and values are those of the CSV."""
    rows = score()
    found = CliRunner().invoke(app, ["score", "--as-of", NOW_TEXT, "--out", str(tmp_path / "scores.parquet")])
    assert found.exit_code == 0, found.output
    typed = pl.read_parquet(tmp_path / "scores.parquet")
    assert typed["model_version"].unique().to_list() == [curved.version]
    assert typed.columns == rows.columns
    assert (typed.schema["as_of"], typed.schema["expected_close_on"]) == (pl.Datetime("us", "UTC"), pl.Date)
    assert_frame_equal(typed.select(MONTHS), rows.select(MONTHS))


def test_the_curve_rises_at_most_to_the_score(curved, score):
    """With time it never falls, and what is won by a month end is part of what is won at all."""
    rows = score()
    won = rows.select(MONTHS).to_numpy()
    assert curved.basis == "own"
    assert (won[:, 0] > 0).any()
    assert (np.diff(won, axis=1) >= 0).all()
    assert (won <= rows["probability"].to_numpy()[:, None]).all()
    assert (rows["expected_close_low"] <= rows["expected_close_on"]).all()
    assert (rows["expected_close_on"] <= rows["expected_close_high"]).all()


def test_the_prior_has_no_curve(prior, score, read):
    """The share won so far knows no dates: columns are empty, and the API has null."""
    rows = score()
    assert prior.basis == rows["basis"].unique().item()
    for column in (*DATES.values(), "probability_of_slipping", *MONTHS):
        assert rows[column].is_null().all()
    assert read(rows["opportunity_id"][0])["closing"] is None


def test_a_closing_goes_with_its_score(curved, score, read, stored, settings):
    """What is closed or not scored has none; a score keeps its own when another version serves."""
    one, other = score()["opportunity_id"][:2]
    with unit_of_work(stored) as session:
        session.add(Opportunity(id="new", external_id="new", source_system="crm"))
        session.execute(sa.update(Opportunity).where(Opportunity.id == one).values(status="lost"))
    assert read("new")["closing"] is None
    assert read(one)["closing"] is None
    before = read(other)["closing"]
    serve(settings, replace(curved, version="later"), NOW)
    assert read(other)["score"]["model_version"] == "curved"
    assert read(other)["closing"] == before is not None


def test_each_row_has_the_months_of_its_own_moment(curved, score, history, tmp_path):
    """Where moments differ, a column stands for each month asked for, empty in the other rows."""
    name = score()["opportunity_id"][0]
    (tmp_path / "pairs.csv").write_text(f"opportunity_id,as_of\n{name},{NOW_TEXT}\n{name},2026-10-02T00:00:00+00:00\n")
    out = tmp_path / "two.csv"
    found = CliRunner().invoke(app, ["score", "--at", str(tmp_path / "pairs.csv"), "--out", str(out)])
    assert found.exit_code == 0, found.output
    rows = pl.read_csv(out)
    months = [column for column in rows.columns if column.startswith("won_by_")]
    assert months == [*MONTHS, "won_by_2026-12"]
    assert rows.select(pl.col(months).is_null()).rows() == [(False, False, False, True), (True, False, False, False)]
    subject = pl.DataFrame({"opportunity_id": [name], "as_of": [NOW]}).cast({"as_of": pl.Datetime("us", "UTC")})
    (expected,) = told(history, curved, subject)["won_by"].to_list()
    assert [month["probability"] for month in expected] == pytest.approx(
        [rows.row(0, named=True)[name] for name in MONTHS]
    )


def test_no_opportunities_have_no_closings(curved, history):
    """A frame without rows has the same columns, with and without a curve."""
    nobody = pl.DataFrame(schema={"opportunity_id": pl.String, "as_of": pl.Datetime("us", "UTC")})
    bare = replace(curved, estimator=replace(curved.estimator, curve=None))
    found = [told(history, version, nobody) for version in (curved, bare)]
    assert found[0].schema == found[1].schema
    assert found[0].height == found[1].height == 0


def test_many_rows_are_read_in_parts(curved, history, monkeypatch):
    """However many rows the trees see at once, each row says the same."""
    subjects = known_opportunities(history, NOW)
    whole = told(history, curved, subjects)
    monkeypatch.setattr("forecast.scoring.closings.ROWS_AT_ONCE", 7)
    assert subjects.height > 20
    assert_frame_equal(told(history, curved, subjects), whole)
