import polars as pl
import pytest
from pipelines import DAY, START, steady_pipeline
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import InputError
from forecast.records import Order, Person
from forecast.runs import list_runs
from forecast.store import unit_of_work

AS_OF = (START + 200 * DAY).isoformat()


@pytest.fixture
def outlook(engine, tmp_path, monkeypatch, records_of):
    """Give the command on a database with a small pipeline."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    records_of(*steady_pipeline(days=200), Person(id="U0", name="Ada"), Person(id="U1", name="Bo"))
    return lambda *words: CliRunner().invoke(app, ["outlook", "--as-of", AS_OF, *words])


def test_the_forecast_is_printed_written_and_kept(outlook, engine, tmp_path):
    """Without a version the usual weights are used, and it says so; the file holds every unit, the run is kept."""
    done = outlook("--horizon", "2", "--out", str(tmp_path / "out.csv"), "--draws", str(tmp_path / "draws.parquet"))
    assert done.exit_code == 0, done.exception
    assert "no version of revenue_forecast is live" in done.stderr
    assert "Ada" in done.stdout
    found = pl.read_csv(tmp_path / "out.csv")
    assert found.select("level", "unit_id", "month").rows() == [
        (level, unit, month)
        for level, unit in (("company", ""), ("person", "U0"), ("person", "U1"))
        for month in ("2024-07-01", "2024-08-01")
    ]
    assert pl.read_parquet(tmp_path / "draws.parquet")["draws"].list.len().unique().to_list() == [1000]
    with unit_of_work(engine) as session:
        assert [run.version for run in list_runs(session)] == [None]


def test_a_unit_is_shown_by_its_name(outlook, tmp_path):
    """`--unit` takes a level, or a unit by id or name; another word is refused with what there is."""
    assert outlook("--unit", "ada", "--out", str(tmp_path / "ada.csv")).exit_code == 0
    assert pl.read_csv(tmp_path / "ada.csv")["unit_id"].unique().to_list() == ["U0"]
    assert outlook("--unit", "person", "--out", str(tmp_path / "persons.csv")).exit_code == 0
    assert pl.read_csv(tmp_path / "persons.csv")["unit_id"].n_unique() == 2
    error = outlook("--unit", "Eve").exception
    assert isinstance(error, InputError)
    assert "company, person" in str(error)


def test_months_of_millions_fit_a_terminal(outlook, records_of, monkeypatch):
    """In 80 columns months keep their names and amounts their digits: from a million on, sums are in thousands."""
    monkeypatch.setenv("COLUMNS", "80")
    records_of(*(Order(id=f"R{day}", ordered_at=START + day * DAY, amount=900_000) for day in range(0, 200, 20)))
    done = outlook("--unit", "company")
    assert done.exit_code == 0, done.exception
    assert "company, thousands" in done.stdout
    assert "2024-07 " in done.stdout
    assert "…" not in done.stdout


def test_options_of_series_are_refused(outlook):
    """What only a file of series has is refused with the records."""
    error = outlook("--season", "12", "--levels", "team").exception
    assert isinstance(error, InputError)
    assert "--season and --levels" in str(error)
