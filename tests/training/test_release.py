import shutil
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from learning import BRIEF, EXPERIMENT, MODELS, SHORT, SILENT, STRICT, UNTIL
from mlflow import MlflowClient
from typer.testing import CliRunner

from forecast.cli import app
from forecast.cli.training import held_back, say_verdict
from forecast.errors import ConflictError, GateError, InputError, NotFoundError, TooLittleHistoryError
from forecast.policies import find_thresholds
from forecast.registry import find_live, get_live_version, hold_live, list_versions, make_live, write_version
from forecast.store import unit_of_work
from training.release import (
    find_live_version,
    promote_version,
    recalibrate_and_register,
    roll_back_version,
    train_and_register,
)

NAME = "win_probability"
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")
NOW = UNTIL + timedelta(days=1)


TRAININGS = {"passes": (SHORT, True), "fails": (STRICT, True), "passes unpromoted": (SHORT, False)}


def train(engine, settings, experiment, *, promote=True, hours=0):
    """Train and register on a host, so many hours after now."""
    return train_and_register(
        engine,
        settings,
        experiment,
        models=MODELS,
        until=UNTIL,
        now=NOW + timedelta(hours=hours),
        budget=replace(BRIEF, trials=1),
        promote=promote,
        listener=SILENT,
    )


def copy_host(source, target):
    """Copy the state of a host, its artifacts from now on in a folder of its own."""
    shutil.copytree(source.home, target.home, dirs_exist_ok=True)
    with closing(sqlite3.connect(target.home / "mlflow.db")) as database, database:
        places = (str(source.home), str(target.home))
        database.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", places)


@pytest.fixture(scope="module")
def host_after(new_host, company_engine):
    """Make a host on which these trainings were, and tell what they released; the same ones are never trained twice."""

    @cache
    def made(*trainings):
        settings = new_host()
        if not trainings:
            return settings, ()
        *before, last = trainings
        host, releases = made(*before)
        copy_host(host, settings)
        experiment, promote = TRAININGS[last]
        release = train(company_engine, settings, experiment, promote=promote, hours=len(releases))
        return settings, (*releases, release)

    return made


@pytest.fixture
def trained(settings, host_after):
    """Bring this host to where trainings, each an hour after the other, bring one; give what they released."""

    def brought(*trainings):
        host, releases = host_after(*trainings)
        copy_host(host, settings)
        return releases

    return brought


@pytest.fixture
def champion(settings):
    """Tell which version MLflow's alias points to."""

    def told():
        found = MlflowClient(settings.tracking_uri).get_model_version_by_alias(NAME, "champion")
        return found.tags["version"]

    return told


def live(settings):
    """Tell which version is live on this host."""
    return find_live(settings.models_folder, NAME)["version"]


def test_a_candidate_that_passes_is_served(settings, trained, champion):
    """It goes live with its verdict, is champion in the register, and its folder holds version and card."""
    (release,) = trained("passes")
    assert release.run.promotable
    assert release.live == live(settings) == champion() == release.run.candidate.version
    assert find_live(settings.models_folder, NAME)["why"] == "promoted: every gate passed"
    served = get_live_version(settings.models_folder, NAME)
    assert served.basis == "own"
    assert served.bundle["gates"] == [gate.to_json() for gate in release.run.gates]
    assert (release.folder / "card.md").read_text(encoding="utf-8").startswith(f"# {NAME}, version {release.live}")


def test_where_the_first_candidate_fails_the_share_won_is_served(settings, trained, champion):
    """The candidate is kept with its failed gate, the prior goes live with the reason, and nobody is misled."""
    (release,) = trained("fails")
    assert release.run.verdict.startswith("not promoted: gate 9 (not too good to be true): AUC ")
    assert release.live == live(settings) == champion() == release.run.prior.version
    assert get_live_version(settings.models_folder, NAME).basis == "prior"
    assert find_live(settings.models_folder, NAME)["why"] == release.run.verdict
    assert list_versions(settings.models_folder, NAME) == [release.run.candidate.version, release.run.prior.version]
    card = (release.folder / "card.md").read_text(encoding="utf-8")
    assert "**failed**: not too good to be true" in card


def test_a_version_of_our_own_stays_when_a_later_candidate_fails(settings, trained, champion):
    """A failed candidate replaces nothing that is better than the share won."""
    first, second = trained("passes", "fails")
    assert not second.run.promotable
    assert second.live == live(settings) == champion() == first.run.candidate.version
    assert second.run.candidate.version in list_versions(settings.models_folder, NAME)


def test_a_passing_candidate_replaces_a_prior(settings, trained, champion):
    """Once something is learnt it is served in place of the share won."""
    _, second = trained("fails", "passes")
    assert live(settings) == champion() == second.run.candidate.version


def test_a_live_version_of_an_old_format_is_as_good_as_none(settings, run):
    """After an upgrade that can't read what is live, training goes on as if nothing were."""
    folder = write_version(settings.models_folder, run.prior, "# card")
    make_live(settings.models_folder, NAME, run.prior.version, since=NOW, why="tested")
    assert find_live_version(settings, NAME).version == run.prior.version
    bundle = folder / "bundle.json"
    bundle.write_text(bundle.read_text(encoding="utf-8").replace('"format": ', '"format": 9'), encoding="utf-8")
    assert find_live_version(settings, NAME) is None


def test_without_promotion_nothing_goes_live(settings, trained):
    """A version may be trained and registered only."""
    (release,) = trained("passes unpromoted")
    assert release.live is None
    assert find_live(settings.models_folder, NAME) is None
    assert list_versions(settings.models_folder, NAME) == [release.run.candidate.version]


def test_a_version_that_failed_is_served_only_for_a_reason(settings, trained, champion):
    """Promoting it by hand is refused with the gate's sentence; a reason is kept where it is served all the same."""
    (release,) = trained("fails")
    failed = release.run.candidate.version
    with pytest.raises(GateError, match=f"version {failed} failed gates: AUC .*--despite-gates"):
        promote_version(settings, NAME, failed, now=NOW, despite_gates=None)
    assert live(settings) == champion() == release.run.prior.version
    promote_version(settings, NAME, failed, now=NOW, despite_gates="the board wants to see it")
    assert live(settings) == champion() == failed
    why = find_live(settings.models_folder, NAME)["why"]
    assert why == "despite failed gates: the board wants to see it"


def test_a_version_that_passed_needs_no_reason(settings, trained, champion):
    """What was trained without promotion can be promoted by hand later."""
    (release,) = trained("passes unpromoted")
    version = release.run.candidate.version
    promote_version(settings, NAME, version, now=NOW, despite_gates=None)
    assert live(settings) == champion() == version
    assert find_live(settings.models_folder, NAME)["why"] == "promoted by hand"


def test_a_version_that_is_not_there_is_not_promoted(settings, trained, champion):
    """The sentence lists the versions there are, and what is live stays."""
    (release,) = trained("passes")
    with pytest.raises(NotFoundError, match=f'has no version "missing" on this host; there are: {release.live}'):
        promote_version(settings, NAME, "missing", now=NOW, despite_gates=None)
    assert live(settings) == champion() == release.live


def test_rolling_back_goes_through_what_was_live(settings, trained, champion):
    """Each step back serves the version before, here and in the register, until there is none."""
    first, second = trained("fails", "passes")
    failed = first.run.candidate.version
    promote_version(settings, NAME, failed, now=NOW, despite_gates="to try")
    for expected in (second.run.candidate.version, first.run.prior.version):
        assert roll_back_version(settings, NAME, now=NOW) == expected
        assert live(settings) == champion() == expected
    with pytest.raises(ConflictError, match="no earlier live version"):
        roll_back_version(settings, NAME, now=NOW)
    assert live(settings) == champion() == first.run.prior.version


def test_the_first_training_proposes_grades(engine, settings):
    """Where no grades were decided they are proposed; later trainings leave them."""
    with unit_of_work(engine) as session:
        assert find_thresholds(session) is None
    with pytest.raises(TooLittleHistoryError, match=r"no opportunity had closed before .*; import closed ones"):
        train(engine, settings, EXPERIMENT)


@pytest.fixture
def low(settings, trained):
    """A live version that a training a year earlier would have made, whose level is far too low now."""
    (release,) = trained("passes")
    candidate = release.run.candidate
    version = replace(
        candidate,
        version="20251101T000000.000000Z",
        estimator=candidate.estimator.raised(-1.2),
        bundle={**candidate.bundle, "until": (UNTIL - timedelta(days=365)).isoformat()},
    )
    write_version(settings.models_folder, version, "# card")
    make_live(settings.models_folder, NAME, version.version, since=NOW, why="tested")
    return version.version


def test_a_new_level_is_a_version_like_any_other(settings, company_engine, low, champion):
    """It is registered, served and champion, and its card names the training; where nothing is off any more, nothing is made."""
    now = NOW + timedelta(days=7)

    def levelled(promote):
        later = now if promote else now + timedelta(hours=1)
        return recalibrate_and_register(
            company_engine, settings, NAME, models=MODELS, until=UNTIL, now=later, promote=promote
        )

    tried = levelled(promote=False)
    assert "\n\nEvery gate passed; not promoted, as was asked.\n\n" in (tried.folder / "card.md").read_text(
        encoding="utf-8"
    )
    assert tried.live == live(settings) == low
    made = levelled(promote=True)
    assert made.live == live(settings) == champion() == made.found.candidate.version
    card = (made.folder / "card.md").read_text(encoding="utf-8")
    assert f"Trained as version {low}" in card
    run_id = MlflowClient(settings.tracking_uri).get_model_version_by_alias(NAME, "champion").run_id
    assert MlflowClient(settings.tracking_uri).get_run(run_id).data.params["trained_as"] == low
    assert "no worse than the live version on log loss" in card
    with pytest.raises(InputError, match=f"version {made.live} knows all that came before"):
        levelled(promote=True)
    assert list_versions(settings.models_folder, NAME)[-2:] == [made.live, tried.found.candidate.version]


def recalibrated(engine, settings, *, until=UNTIL, hours=0):
    """Recalibrate and promote, so many hours after now."""
    now = NOW + timedelta(hours=hours)
    return recalibrate_and_register(engine, settings, NAME, models=MODELS, until=until, now=now, promote=True)


def test_the_future_sets_no_level(settings, company_engine, low):
    """Outcomes of a moment that is not over are not known, and nothing is made."""
    with pytest.raises(
        InputError, match=r"2026-11-03.* is in the future \(it is 2026-11-02.*name a moment that is over"
    ):
        recalibrated(company_engine, settings, until=NOW + timedelta(days=1))
    assert list_versions(settings.models_folder, NAME)[0] == low == live(settings)


def test_a_training_that_goes_live_meanwhile_stays(settings, company_engine, low):
    """A new level of what was live before replaces no training; it stays registered, and the sentence names both."""
    outcome = []

    def recalibrate_meanwhile():
        with pytest.raises(ConflictError) as caught:
            recalibrated(company_engine, settings, hours=1)
        outcome.append(str(caught.value))

    newest = list_versions(settings.models_folder, NAME)[-1]
    with hold_live(settings.models_folder):
        waiting = threading.Thread(target=recalibrate_meanwhile)
        waiting.start()
        while waiting.is_alive() and len(list_versions(settings.models_folder, NAME)) < 3:
            time.sleep(0.05)
        make_live(settings.models_folder, NAME, newest, since=NOW, why="tested")
    waiting.join()
    assert newest != low == list_versions(settings.models_folder, NAME)[0]
    assert live(settings) == newest
    assert outcome[0].startswith(f"version {newest} went live while ")


def test_a_register_that_is_gone_leaves_what_is_live(settings, company_engine, low, tmp_path):
    """Broken off between the folder of the new level and its promotion, the old version serves on."""
    (tmp_path / "file").touch()
    gone = replace(settings, mlflow_tracking_uri=f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    before = find_live(settings.models_folder, NAME)
    with pytest.raises(Exception, match=r"unable to open database|Not a directory|File exists"):
        recalibrated(company_engine, gone, hours=1)
    assert find_live(settings.models_folder, NAME) == before
    assert get_live_version(settings.models_folder, NAME).version == low


@pytest.mark.parametrize(
    ("language", "advice"), [("en", "recalibrate win_probability` sets it right"), ("zh", "win_probability` 校准")]
)
def test_a_level_that_is_off_is_told(settings, monkeypatch, low, language, advice):
    """The check of the data says what the live version says and what came, as long as recalibrating would move it."""
    monkeypatch.setenv("FORECAST_HOME", str(settings.home))
    monkeypatch.setenv("FORECAST_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("FORECAST_LANGUAGE", language)
    said = CliRunner().invoke(app, ["check", "--models", str(MODELS)])
    assert advice in said.stderr
    make_live(settings.models_folder, NAME, list_versions(settings.models_folder, NAME)[-1], since=NOW, why="tested")
    assert find_live(settings.models_folder, NAME)["version"] != low
    said = CliRunner().invoke(app, ["check", "--models", str(MODELS)])
    assert said.exit_code == 0
    assert advice not in said.output


def test_a_version_that_is_held_back_is_not_called_promoted(settings, trained):
    """Trained with --no-promote, a version that passed says that it did, and how it is served; so do its card and MLflow."""
    (held,) = trained("passes unpromoted")
    client = MlflowClient(settings.tracking_uri)
    registered = client.get_model_version_by_alias(NAME, "challenger")
    verdict = "every gate passed; not promoted, as was asked"
    assert f"\n\n{verdict.capitalize()}.\n\n" in (held.folder / "card.md").read_text(encoding="utf-8")
    assert f": {verdict}." in registered.description
    assert client.get_run(registered.run_id).data.tags["verdict"] == verdict
    said = say_verdict(held.run.verdict, held_back(held))
    assert said.startswith("every gate passed; not promoted")
    assert f"forecast promote {held.run.candidate.version} --model {NAME}" in said
    (served,) = trained("passes")
    assert held_back(served) is None


def test_nothing_is_trained_on_the_future():
    """A moment that has not come is refused, as its outcomes are not known."""
    said = CliRunner().invoke(app, ["train", "--as-of", "2999-01-01"]).exception
    assert isinstance(said, InputError)
    assert str(said).startswith("2999-01-01T00:00:00+00:00 is in the future")
