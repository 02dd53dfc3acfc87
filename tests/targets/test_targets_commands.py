from datetime import date

import polars as pl
import pytest
import sqlalchemy as sa
from forecasts import AS_OF, PEOPLE, day, forecast_of, keep, opportunity, random_draws, store
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import InputError
from forecast.records import AuditEvent, Person, Quota, Team
from forecast.store import unit_of_work

NOW = AS_OF.isoformat()


@pytest.fixture
def command(engine, tmp_path, monkeypatch):
    """Give a function that runs a command on a company with sales, a quota and a kept forecast."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    store(
        engine,
        Team(id="T1", external_id="T1", name="East"),
        *(Person(id=name, external_id=name, name=f"Seller {name}", team_id=team) for name, team in PEOPLE.items()),
        *(
            opportunity(f"{name}-{month}", owner_id=name, status="won", won_amount=100, created_at=day(1, 1, 2025),
                        closed_at=day(month, 9, 2025))
            for name in PEOPLE
            for month in range(1, 13)
        ),
        opportunity("soon", amount=100, seller_probability=0.5, expected_close_on=date(2026, 9, 20), name="Big one"),
        Quota(id="Q1", external_id="Q1", person_id="U01", starts_on=date(2026, 7, 1), ends_on=date(2026, 9, 30), amount=1000),
    )  # fmt: skip
    keep(engine, forecast_of(random_draws(months=4)))
    return lambda *words: CliRunner().invoke(app, list(words))


def quotas(engine):
    """List the stored quotas by id."""
    with unit_of_work(engine) as session:
        return {quota.id: quota for quota in session.scalars(sa.select(Quota))}


def test_running_targets_are_printed_with_what_fails(command):
    """A target out of reach is in the table, with what would close its gap, and its failed check below."""
    done = command("targets", "--as-of", NOW)
    assert done.exit_code == 0, done.exception
    assert "2026 Q3" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(" Seller U01")]
    assert row.split()[2:5] == ["1k", "0", "0%"]
    assert "Seller U01 2026 Q3: Attainable: only with a probability of 0%" in done.stdout
    assert "no quota has a day in 2031" in command("targets", "--year", "2031", "--as-of", NOW).stdout


def test_a_period_beyond_the_forecast_says_how_far_one_must_reach(command, engine):
    """Where the forecast ends before the target does, no chance is given, but what would give one; a lone end is said in words."""
    store(
        engine,
        Quota(id="long", external_id="long", starts_on=date(2026, 7, 1), ends_on=date(2027, 3, 31), amount=1000),
        Quota(id="endless", external_id="endless", team_id="T1", starts_on=date(2026, 7, 1), amount=1000),
    )
    done = command("targets", "--as-of", NOW)
    assert (
        "chances to 2027-03-31 are known once a forecast reaches that far: forecast outlook --horizon 7" in done.stdout
    )
    assert "from 2026-07-01" in done.stdout
    assert "?" not in done.stdout


def test_quotas_in_a_currency_that_nothing_is_sold_in_are_named(command, engine):
    """A quota towards which nothing can count is no quota of which nothing is reached."""
    store(
        engine,
        opportunity("paid", amount=100, currency="CNY", owner_id="U01"),
        Quota(id="Q2", external_id="Q2", person_id="U01", starts_on=date(2026, 10, 1), ends_on=date(2026, 12, 31), amount=1, currency="USD"),
    )  # fmt: skip
    done = command("targets", "--year", "2026", "--as-of", NOW)
    assert "1 of 2 quotas are in USD, such as Q2; amounts of what is sold are in CNY" in done.stderr


def test_a_moment_before_the_first_forecast_is_answered_so(command):
    """What no forecast was kept for is not projected, and the note says of which moment one is missing."""
    done = command("targets", "--as-of", day(8, 1).isoformat())
    assert done.exit_code == 0, done.exception
    assert "no revenue forecast as of 2026-08-01 or before is kept" in done.stderr
    assert "Seller U01" in done.stdout


@pytest.mark.parametrize(
    ("period", "columns"),
    [("month", ["2027 Q1", "2027 Q4"]), ("quarter", ["2027 Q1", "2027 Q4"]), ("year", [" 2027 "])],
)
def test_a_proposal_is_printed_and_nothing_is_stored(command, engine, period, columns):
    """Without --adopt, what is proposed is only shown, months by quarter, as twelve fit no terminal; sums are whole."""
    done = command("targets", "--propose", "4800", "--year", "2027", "--period", period, "--as-of", NOW)
    assert done.exit_code == 0, done.exception
    assert all(column in done.stdout for column in columns)
    (company,) = [line for line in done.stdout.splitlines()[8:] if line.startswith(" company")]
    assert sum(float(cell.replace(",", "")) for cell in company.split()[1:]) == pytest.approx(4800, abs=2)
    assert set(quotas(engine)) == {"Q1"}


def test_an_adopted_proposal_is_stored_with_its_trail(command, engine):
    """The parts become quotas; adopting the same again writes nothing."""
    words = ("targets", "--propose", "4800", "--year", "2027", "--period", "year", "--edit", "U03=3000", "--as-of", NOW)
    first, again = (command(*words, "--adopt") for _ in range(2))
    assert "adopted: 6 of 6 quotas" in first.stderr
    assert "adopted: 0 of 6 quotas" in again.stderr
    stored = quotas(engine)
    assert float(stored["target-2027-01-01-year-person-U03"].amount) == 3000
    assert float(stored["target-2027-01-01-year-team-T1"].amount) == 1800
    assert stored["target-2027-01-01-year-company"].ends_on == date(2027, 12, 31)
    with unit_of_work(engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditEvent)) == 6


def test_the_file_of_a_proposal_imports(command, engine, tmp_path):
    """What --out writes is read by forecast import as it is, and is what --adopt would have stored."""
    file = tmp_path / "quotas.csv"
    command("targets", "--propose", "4800", "--year", "2027", "--period", "year", "--as-of", NOW, "--out", str(file))
    assert pl.read_csv(file).height == 6
    done = command("import", str(file))
    assert done.exit_code == 0, done.output
    assert float(quotas(engine)["target-2027-01-01-year-company"].amount) == 4800


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--adopt"], "--propose AMOUNT"),
        (["--propose", "100", "--period", "week"], "month, quarter, year"),
        (["--propose", "100", "--edit", "U99=1"], "U01, U02, U03"),
        (["--propose", "100", "--edit", "T1=nan"], "team T1 is to have nan; give an amount from 0"),
        (["--propose", "100", "--edit", "T1=-5"], "team T1 is to have -5.00; give an amount from 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(command, words, said):
    """The message says what to write."""
    done = command("targets", "--as-of", NOW, *words)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)


def test_changes_are_printed_and_written(command, engine, tmp_path):
    """Bars, the records behind them, and the file of all of them."""
    with unit_of_work(engine) as session:
        session.execute(sa.text("UPDATE opportunity SET amount = 300 WHERE id = 'soon'"))
    file = tmp_path / "changed.csv"
    words = ("changes", "--from", NOW, "--to", day(9, 25).isoformat(), "--unit", "East", "--out", str(file))
    done = command(*words)
    assert done.exit_code == 0, done.exception
    assert "East, 2026-07-01 to 2026-09-30" in done.stdout
    assert "amount up" in done.stdout
    assert "100→300" in done.stdout
    assert pl.read_csv(file)["change"].to_list() == [100.0]


def test_accuracy_of_forecasts_is_printed(command, engine, tmp_path):
    """Errors by level and months ahead stand beside the peers; a version that is on no host is left out and counted."""
    keep(engine, forecast_of(random_draws(2, months=4), version=None))
    store(engine, opportunity("landed", status="won", closed_at=day(9, 25), won_amount=300))
    file = tmp_path / "horizons.csv"
    done = command("accuracy", "revenue_forecast", "--as-of", day(10, 5).isoformat(), "--out", str(file))
    assert done.exit_code == 0, done.exception
    assert "1 kept forecasts judged, the first of each month; 1 more" in done.stdout
    assert pl.read_csv(file).select("level", "horizon").rows()[:2] == [("company", 0), ("team", 0)]


def test_forecasts_are_not_judged_by_months_to_come(command):
    """A moment in the future is refused: its months would count as if nothing had landed."""
    done = command("accuracy", "revenue_forecast", "--as-of", "2100-01-01")
    assert isinstance(done.exception, InputError)
    assert "is in the future" in str(done.exception)
