"""As a user: the command line in processes of its own, in an empty folder, over HTTP."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest
import sqlalchemy as sa

from forecast.demo import simulate_company, write_export
from forecast.features import opportunity_features, plan_features
from forecast.history import read_history
from forecast.intake import import_files
from forecast.registry import find_live, list_versions
from forecast.settings import Settings
from forecast.snapshot import take_snapshot
from forecast.store import open_engine, unit_of_work

CHECKOUT = Path(__file__).parent.parent
NAME = "win_probability"
UNTIL = datetime(2024, 6, 1, tzinfo=UTC)
FORECAST = str(Path(sys.executable).with_name("forecast"))
PAST = "2024-02-29T12:00:00+00:00"
PATIENCE = 1200
"""Seconds after which a command hangs, on a machine that is busy with much else."""
WITHOUT_LABORATORY = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mlflow", "optuna", "training"}:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Absent())
from forecast.cli import main
main()
"""


class Host:
    """A folder of its own, with FORECAST_HOME in it."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.settings = Settings(home=self.home)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FORECAST_", "PYTEST_"))},
            "FORECAST_HOME": "home",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments, command=(FORECAST,)):
        """Begin a command."""
        given = [*command, *map(str, arguments)]
        return subprocess.Popen(
            given, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments, **options):
        """Run a command to its end, which must be a good one; give what it printed."""
        process = self.start(*arguments, **options)
        printed, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        return printed + said

    def fail(self, *arguments):
        """Run a command that must end with status 1; give what it said, which is one line."""
        process = self.start(*arguments)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1, said
        assert "Traceback" not in said
        assert said.count("\n") == 1
        return said

    def live(self):
        """Tell which version is live."""
        return find_live(self.settings.models_folder, NAME)["version"]

    def candidates(self):
        """List what was learnt from the records."""
        found = list_versions(self.settings.models_folder, NAME)
        return [version for version in found if not version.endswith("-prior")]

    def postgres(self):
        """Give the process id of the embedded PostgreSQL, or None where it does not run."""
        file = self.home / "postgres" / "postmaster.pid"
        return int(file.read_text().split()[0]) if file.exists() else None


def write_models(folder):
    """Write our experiments with shorter searches: nothing that is held here rests on their length."""
    shutil.copytree(CHECKOUT / "models", folder)
    for file in folder.glob("*/config.toml"):
        text = file.read_text(encoding="utf-8")
        text = text.replace("folds = 4", "folds = 2").replace("rounds_max = 800", "rounds_max = 100")
        file.write_text(text, encoding="utf-8")


@contextmanager
def open_host():
    """Make a host; not in pytest's folder, which is closed to PostgreSQL's own user whenever another run starts."""
    folder = Path(tempfile.mkdtemp(prefix="forecast-journey-"))
    write_models(folder / "models")
    yield Host(folder)
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(found, seconds=PATIENCE):
    """Ask until the answer is yes; give it."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return answer


def is_running(process_id):
    """Tell whether there is such a process."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def serve(host):
    """Serve on a free port; give the process and a client with a key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = host.run("keys", "create", "journey").split()[0]
    process = host.start("serve", "--port", port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}) as client:
        yield process, client
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=PATIENCE)


def answers(client, path):
    """Tell whether the service answers well."""
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def company():
    """A small company of the past."""
    return simulate_company(3, UNTIL, opportunities=400)


@pytest.fixture(scope="module")
def host(company):
    """A host on which a company was imported, a version trained on it, and promoted."""
    with open_host() as made:
        write_export(company, made.folder / "export")
        made.run("import", "export")
        made.run("train", "--trials", 2, "--as-of", UNTIL.isoformat())
        made.run("promote", made.candidates()[0], "--despite-gates", "a company this small")
        yield made


@pytest.fixture(scope="module")
def client(host):
    """A client of the service on this host."""
    host.run("score", "--as-of", UNTIL.isoformat())
    with serve(host) as (_, opened):
        wait_until(lambda: answers(opened, "/readyz"))
        yield opened


def write_pairs(host, rows, name="pairs.csv"):
    """Write a file of opportunities and moments."""
    with (host.folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("opportunity_id", "as_of"), *rows])


def open_then(company):
    """List the opportunities that were open at a moment of the past."""
    moment = datetime.fromisoformat(PAST)
    rows = company.opportunities.filter(
        pl.col("created_at") < moment, pl.col("closed_at").is_null() | (pl.col("closed_at") > moment)
    )
    return rows["id"].to_list()


def test_an_export_becomes_a_version_and_scores(host, client, company):
    """After import, training and scoring, every open opportunity has a probability of the live version."""
    listed = host.run("models")
    assert host.live() in listed
    assert "own" in listed
    still_open = company.opportunities.filter(pl.col("status") == "open")["id"].to_list()
    items, cursor = [], None
    while cursor or not items:
        page = client.get("/v1/opportunities", params={"limit": 50} | ({"cursor": cursor} if cursor else {})).json()
        items, cursor = items + page["opportunities"], page["next_cursor"]
    assert sorted(item["id"] for item in items) == sorted(still_open)
    assert {item["score"]["model_version"] for item in items} == {host.live()}
    assert all(0 < item["score"]["probability"] < 1 for item in items)


def test_an_opportunity_that_is_posted_is_scored(host, client):
    """POST gives a probability, a grade and the live version's name; without the key it gives nothing."""
    body = {"opportunities": [{"id": "X1", "created_at": "2024-05-01", "amount": "9000", "currency": "CNY"}]}
    (score,) = client.post("/v1/opportunities/score", json=body).json()["scores"]
    assert 0 < score["probability"] < 1
    assert score["grade"] in {"high", "medium", "low"}
    assert score["model_version"] == host.live()
    refused = httpx.post(f"{client.base_url}/v1/opportunities/score", json=body)
    assert refused.status_code == 401


def served_version(client):
    """Ask the service which version it serves."""
    (model,) = client.get("/v1/models").json()["models"]
    return model["version"]


def test_another_version_is_served_without_a_restart(host, client):
    """What is promoted or rolled back on the command line answers the next request."""
    first = host.live()
    host.run("train", "--trials", 1, "--as-of", UNTIL.isoformat(), "--no-promote")
    second = host.candidates()[-1]
    assert served_version(client) == first != second
    host.run("promote", second, "--despite-gates", "a company this small")
    assert served_version(client) == second
    host.run("rollback")
    assert served_version(client) == host.live() == first


def test_scores_need_no_laboratory(host, client, company):  # noqa: ARG001
    """Where MLflow, Optuna and our own training are not installed, scoring works all the same."""
    write_pairs(host, [(name, PAST) for name in open_then(company)])
    plain = [sys.executable, "-c", WITHOUT_LABORATORY]
    host.run("score", "--at", "pairs.csv", "--out", "without.csv", command=plain)
    host.run("score", "--at", "pairs.csv", "--out", "with.csv")
    assert (host.folder / "without.csv").read_bytes() == (host.folder / "with.csv").read_bytes()
    process = host.start("train", command=plain)
    assert "is not installed here" in process.communicate(timeout=PATIENCE)[1]


def later_files(company, folder):
    """Write what happened after the export: closings, new opportunities, activities and moves between stages."""
    after = UNTIL + timedelta(days=1)
    touched = company.opportunities.filter(pl.col("status") == "open")
    closed = touched.with_columns(
        status=pl.lit("won"), stage=pl.lit("Won"), amount=1.0, expected_close_on=after.date(), closed_at=after
    )
    new = touched.with_columns(id="new-" + pl.col("id"), created_at=after)
    more = pl.concat([frame.select(company.opportunities.columns) for frame in (closed, new)], how="vertical_relaxed")
    activities = company.activities.with_columns(id="new-" + pl.col("id"), created_at=after, occurred_at=after)
    moves = company.stage_changes.with_columns(changed_at=after, stage=pl.lit("Contacted"))
    folder.mkdir()
    for name, frame in {"opportunities": more, "activities": activities, "stage_changes": moves}.items():
        frame.write_csv(folder / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")


def test_the_past_is_scored_as_it_was(host, client, company):  # noqa: ARG001
    """A score at a past moment stays the same, to the byte, after closings, changes and activities were imported."""
    ids = open_then(company)
    write_pairs(host, [(name, PAST) for name in ids])
    host.run("score", "--at", "pairs.csv", "--out", "before.csv")
    later_files(company, host.folder / "later")
    said = host.run("import", "later")
    host.run("score", "--at", "pairs.csv", "--out", "after.csv")
    before = pl.read_csv(host.folder / "before.csv")
    assert " 0 new" not in said
    assert before["opportunity_id"].to_list() == ids
    assert before["probability"].n_unique() > 10
    assert (host.folder / "after.csv").read_bytes() == (host.folder / "before.csv").read_bytes()


def features_then(engine):
    """Give the features of one opportunity at a moment of the past."""
    with unit_of_work(engine) as session:
        history = read_history(session)
    as_of = pl.lit(datetime.fromisoformat(PAST)).dt.cast_time_unit("us")
    subjects = history.opportunities.select("opportunity_id", as_of.alias("as_of"))
    return opportunity_features(take_snapshot(history, subjects), plan_features(history, ()))


def test_a_closing_that_overwrites_nothing_changes_no_past(engine, tmp_path):
    """A date imported while the opportunity was open is known not to come from its closing."""
    file = tmp_path / "opportunities.csv"
    row = {"id": "1", "created_at": "2024-01-01", "expected_close_on": "2024-08-01", "status": "open", "closed_at": ""}
    found = []
    for values in (row, row | {"status": "won", "closed_at": "2024-06-03"}):
        pl.DataFrame([values]).write_csv(file)
        import_files(engine, [file], imported_at=UNTIL, rejects_folder=tmp_path / "rejects")
        found.append(features_then(engine))
    assert found[0].equals(found[1])


def broken_models(host):
    """Write an experiment whose number of trials is a word."""
    text = (CHECKOUT / "models" / NAME / "config.toml").read_text(encoding="utf-8")
    folder = host.folder / "broken" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text.replace("trials = 30", 'trials = "many"'), encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "nowhere.csv"], "nowhere.csv"),
        (["train", "win_chance"], 'there is no model "win_chance"'),
        (["train", "--models", "broken"], "search.trials is 'many'"),
        (["train", "--trials", "0"], "0 trials find nothing"),
        (["score", "--at", "odd.csv"], 'odd.csv, row 3, column as_of: "gestern" is not a moment; write 2024-03-01'),
        (["score", "--at", "nowhere.csv"], "nowhere.csv is not there"),
        (["score", "--as-of", "gestern"], '"gestern" is not a moment'),
        (["score", "lead_conversion"], "no version of lead_conversion is live; run `forecast train lead_conversion`"),
        (["promote", "yesterday"], 'win_probability has no version "yesterday" on this host; there are: 20'),
        (["rollback", "lead_conversion"], "lead_conversion has no earlier live version"),
        (["score", "--out", "nowhere/scores.csv"], "nowhere/scores.csv can't be written: there is no such folder"),
        (["keys", "revoke", "nobody"], "nobody"),
    ],
)
def test_wrong_input_is_answered_with_a_sentence(host, client, arguments, sentence):  # noqa: ARG001
    """What can't be done ends with status 1 and one line that says what was found and what to do."""
    broken_models(host)
    write_pairs(host, [("O0000001", PAST), ("O0000002", "gestern")], "odd.csv")
    said = host.fail(*arguments)
    assert said.startswith("error: ")
    assert sentence in said


def test_the_database_stops_with_the_service():
    """SIGTERM ends the service in order, and no PostgreSQL of this folder is left."""
    with open_host() as host, serve(host) as (process, client):
        wait_until(lambda: answers(client, "/healthz"))
        assert client.get("/readyz").status_code == 503
        postgres = host.postgres()
        assert is_running(postgres)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE)
        wait_until(lambda: not is_running(postgres), seconds=20)
        assert host.postgres() is None


def counted(engine):
    """Count the records of each kind."""
    kinds = ("account", "person", "product", "opportunity", "activity", "lead", "order", "case", "change")
    with engine.connect() as connection:
        return {kind: connection.execute(sa.text(f'SELECT count(*) FROM "{kind}"')).scalar_one() for kind in kinds}


def test_an_import_that_is_killed_is_completed_by_the_next():
    """Each file is there wholly or not at all, and importing again brings the rest, once."""
    with open_host() as host:
        write_export(simulate_company(4, UNTIL, opportunities=3000), host.folder / "export")
        host.run("keys", "list")
        engine = open_engine(host.settings)
        process = host.start("import", "export")
        wait_until(lambda: counted(engine)["account"])
        process.kill()
        process.communicate()
        partly = counted(engine)
        host.run("import", "export")
        whole = counted(engine)
        again = host.run("import", "export")
        engine.dispose()
    assert partly != whole
    assert partly["opportunity"] == 0
    changes = partly.pop("change")
    assert changes < whole["change"]
    assert all(count in {0, whole[kind]} for kind, count in partly.items())
    assert again.count(" 0 new, 0 changed") == len(list(again.split(" rows read"))) - 1


def test_the_demonstration_continues_where_it_stopped():
    """The slowest test: the demonstration runs from nothing, and run again it trains no second version."""
    with open_host() as host:
        begun = time.monotonic()
        first = host.run("demo", "--no-serve")
        middle = time.monotonic()
        second = host.run("demo", "--no-serve")
        assert host.candidates() == [host.candidates()[0]]
        assert host.live() in host.candidates()
        assert "forecast import" in first
        assert "forecast import" not in second
        assert "forecast train" not in second
        assert time.monotonic() - middle < (middle - begun) / 2
