from datetime import date

import polars as pl
import pytest
import sqlalchemy as sa
from pipelines import DAY, START, steady_pipeline
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import ForecastError, InputError
from forecast.records import Opportunity, Order, Person, Quota
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
    """`--unit` takes a level, or a unit by id or name."""
    assert outlook("--unit", "ada", "--out", str(tmp_path / "ada.csv")).exit_code == 0
    assert pl.read_csv(tmp_path / "ada.csv")["unit_id"].unique().to_list() == ["U0"]
    assert outlook("--unit", "person", "--out", str(tmp_path / "persons.csv")).exit_code == 0
    assert pl.read_csv(tmp_path / "persons.csv")["unit_id"].n_unique() == 2


def test_what_can_not_be_shown_or_written_is_refused_before_anything_is_forecast(outlook, engine, tmp_path):
    """A unit that there is none of and a file that can't be written end the command at once: no run is kept."""
    for words, said in [
        (("--unit", "Eve"), "company, person"),
        (("--out", str(tmp_path / "none" / "out.csv")), "there is no such folder"),
        (("--draws", str(tmp_path)), "it is a folder"),
    ]:
        error = outlook(*words).exception
        assert isinstance(error, ForecastError)
        assert said in str(error)
    with unit_of_work(engine) as session:
        assert not list_runs(session)


@pytest.mark.parametrize("columns", ["80", "62"])
def test_months_of_millions_fit_a_terminal(outlook, records_of, monkeypatch, *, columns):
    """Months keep their names and amounts their digits: from a million on, sums are in thousands, and columns close up."""
    monkeypatch.setenv("COLUMNS", columns)
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


def test_quarters_cases_and_categories_stand_beside_the_months(outlook, engine):
    """The page of a unit has its months and whole quarters, the cases, and its open deals by category and close date."""
    with unit_of_work(engine) as session:
        first, second, third = sorted(
            one for one in session.scalars(sa.select(Opportunity.id).where(Opportunity.status == "open"))
        )[:3]
        for record_id, closes in ((first, date(2024, 7, 31)), (second, date(2024, 9, 30)), (third, date(2024, 2, 1))):
            values = {"expected_close_on": closes, "forecast_category": "Commit", "amount": 5000}
            session.execute(sa.update(Opportunity).where(Opportunity.id == record_id).values(**values))
    done = outlook("--horizon", "4", "--unit", "company")
    assert done.exit_code == 0, done.exception
    months = [line.split()[0] for line in done.stdout.splitlines() if line.strip().startswith("2024")]
    assert months == ["2024-07", "2024-08", "2024-09", "2024-10", "2024", "2024"]  # the quarter, and its categories
    assert "worst" in done.stdout
    (commit,) = [line.split() for line in done.stdout.splitlines() if "Commit" in line]
    assert commit == ["2024", "Q3", "Commit", "2", "10,000"]
    (earlier,) = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("earlier")]
    assert earlier[1] == "1"


def test_longer_periods_are_written_where_they_are_asked_for(outlook, tmp_path):
    """`--periods` writes quarters and years that the forecast reaches the end of, months that are over included; draws likewise."""
    file, drawn = tmp_path / "out.csv", tmp_path / "draws.parquet"
    done = outlook("--horizon", "6", "--periods", "quarter,year", "--out", str(file), "--draws", str(drawn))
    assert done.exit_code == 0, done.exception
    company = pl.read_csv(file, try_parse_dates=True).filter(level="company")
    counts = dict(company["period"].value_counts().iter_rows())
    assert counts == {"month": 6, "quarter": 2, "year": 1}
    assert company.filter(period="month")["mean"].sum() == pytest.approx(company.filter(period="quarter")["mean"].sum())
    year = company.row(-1, named=True)
    assert year["won"] > company.filter(period="month")["won"].sum()
    assert year["lo-80"] <= year["likely"] <= year["hi-80"]
    assert pl.read_parquet(drawn)["period"].to_list() == pl.read_csv(file)["period"].to_list()
    error = outlook("--periods", "quarter", "--horizon", "2").exception
    assert str(error).startswith("2 periods ahead hold no whole quarter")
    error = outlook("--periods", "week").exception
    assert isinstance(error, InputError)
    assert "quarter, year" in str(error)


def test_targets_stand_beside_the_forecast(outlook, records_of, tmp_path):
    """A unit's page says where its targets stand, and the file has a target in the row of its own period."""
    dates = {"starts_on": date(2024, 7, 1), "ends_on": date(2024, 9, 30)}
    records_of(Quota(id="Q0", external_id="Q0", person_id="U0", amount=1_000_000_000, **dates))
    file = tmp_path / "out.csv"
    done = outlook("--unit", "Ada", "--periods", "quarter", "--out", str(file))
    assert done.exit_code == 0, done.exception
    assert "shortfall" in done.stdout
    (target,) = [line.split() for line in done.stdout.splitlines() if "1bn" in line]
    assert target[:3] == ["2024", "Q3", "1bn"]
    rows = pl.read_csv(file).filter(pl.col("target").is_not_null())
    assert rows.select("unit_id", "period", "month", "chance").rows() == [("U0", "quarter", "2024-07-01", 0.0)]
    assert rows["expected_shortfall"].item() == pytest.approx(1e9 - rows["mean"].item(), rel=0.01)
