from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from forecasts import AS_OF, KEPT_AT, day, forecast_of, keep, opportunity, random_draws, store

from forecast.errors import NotFoundError
from forecast.records import Change, ForecastOpportunity, Opportunity, Person, Score
from forecast.revenue_records import read_deal_records
from forecast.runs import find_run, get_newest_run, get_run, keep_forecast, list_runs, read_cells
from forecast.runs.deals import read_deals, read_kept_deals
from forecast.store import unit_of_work


@pytest.fixture
def sellers(engine):
    """Open a database with persons of two teams."""
    store(engine, *(Person(id=name, external_id=name, team_id=team) for name, team in (("U01", "T1"), ("U03", "T2"))))
    return engine


def test_a_forecast_comes_back_as_it_was_kept(engine):
    """Cells, draws, remarks and moments survive, to the bit."""
    forecast = forecast_of(random_draws(), remarks=("only orders, no pipeline",))
    run_id = keep(engine, forecast)
    with unit_of_work(engine) as session:
        run, cells = get_run(session, run_id), read_cells(session, run_id)
    assert cells.equals(forecast.cells.sort("level", "unit_id", "month"))
    assert (run.as_of, run.version, run.currency, run.kept_at) == (AS_OF, "v1", "CNY", KEPT_AT)
    assert run.remarks == forecast.remarks


def test_the_same_forecast_is_kept_once(engine):
    """Running the same thing twice leaves one run, with its first moment of keeping."""
    forecast = forecast_of(random_draws(), version=None)
    first = keep(engine, forecast)
    assert keep(engine, forecast, now=KEPT_AT + timedelta(days=1)) == first
    with unit_of_work(engine) as session:
        assert [run.kept_at for run in list_runs(session)] == [KEPT_AT]


def test_other_numbers_of_the_same_moment_replace_nothing(engine):
    """A second forecast as of the same moment stands beside the first, and is the newest."""
    first = keep(engine, forecast_of(random_draws(1)))
    second = keep(engine, forecast_of(random_draws(2)))
    with unit_of_work(engine) as session:
        assert [run.id for run in list_runs(session)] == [second, first]
        assert not read_cells(session, first).equals(read_cells(session, second))


def test_the_newest_run_is_that_of_the_latest_moment(engine):
    """A forecast of a past moment that is made today is not the newest."""
    newest = keep(engine, forecast_of(random_draws()))
    past = keep(engine, replace(forecast_of(random_draws()), as_of=AS_OF - timedelta(days=60)))
    with unit_of_work(engine) as session:
        assert get_newest_run(session).id == newest
        assert get_newest_run(session, until=AS_OF - timedelta(days=1)).id == past
        assert find_run(session, until=AS_OF - timedelta(days=61)) is None


def test_a_run_that_is_not_there_is_named(engine):
    """The message says which runs there are, and how to make one."""
    with unit_of_work(engine) as session, pytest.raises(NotFoundError, match="there is no forecast 7"):
        get_run(session, 7)
    with unit_of_work(engine) as session, pytest.raises(NotFoundError, match="forecast outlook"):
        get_newest_run(session)


def test_open_opportunities_are_kept_as_they_were_seen(sellers):
    """A run remembers amount, close date, stage and probability of its moment, whatever is changed later."""
    store(
        sellers,
        opportunity("open", amount=100, expected_close_on=date(2026, 10, 1), stage="Quoted"),
        opportunity("won before", status="won", closed_at=day(9, 1), won_amount=70),
        opportunity("lost after", status="lost", closed_at=day(9, 20), amount=30),
        opportunity("created after", created_at=day(9, 16)),
        Score(model="win_probability", version="v", kind="opportunity", record_id="open", as_of=day(9, 1),
              probability=0.4, basis="own", grade="medium", latest=False),
        Score(model="win_probability", version="v", kind="opportunity", record_id="open", as_of=day(9, 20),
              probability=0.9, basis="own", grade="high"),
    )  # fmt: skip
    run_id = keep(sellers, forecast_of(random_draws()))
    store(
        sellers,
        Change(kind="opportunity", record_id="open", field="amount", changed_at=day(9, 20), old_value="100.00",
               new_value="500.00", origin="api"),
    )  # fmt: skip
    with unit_of_work(sellers) as session:
        session.execute(sa.update(Opportunity).where(Opportunity.id == "open").values(amount=500))
    with unit_of_work(sellers) as session:
        kept = read_kept_deals(session, run_id)
        again = read_deals(session, read_deal_records(session, timezone="UTC"), AS_OF).filter(
            pl.col("status") == "open"
        )
    assert kept["opportunity_id"].to_list() == ["lost after", "open"]
    assert kept.row(1, named=True) | {"name": None} == {
        "opportunity_id": "open", "name": None, "owner_id": "U01", "team_id": "T1", "stage": "Quoted", "amount": 100.0,
        "currency": "CNY", "expected_close_on": date(2026, 10, 1), "forecast_category": None, "seller_probability": None,
        "status": "open", "closed_on": None, "created_on": None, "won_amount": None, "win_probability": 0.4,
    }  # fmt: skip
    assert again.drop("created_on").equals(kept.drop("created_on"))


def test_a_deal_that_moved_since_is_left_as_it_was_kept(sellers):
    """What a run kept does not depend on records, which an import without history may overwrite."""
    store(sellers, opportunity("a", amount=100))
    run_id = keep(sellers, forecast_of(random_draws()))
    with unit_of_work(sellers) as session:
        session.execute(sa.delete(Opportunity))
    with unit_of_work(sellers) as session:
        assert read_kept_deals(session, run_id)["amount"].to_list() == [100]
        assert session.scalar(sa.select(sa.func.count()).select_from(ForecastOpportunity)) == 1


def test_probabilities_of_the_forecast_go_before_stored_scores(sellers):
    """The probabilities that a forecast was made of are those that are kept."""
    store(sellers, opportunity("a", amount=100))
    used = pl.DataFrame({"opportunity_id": ["a"], "win_probability": [0.25]})
    run_id = keep_forecast(sellers, forecast_of(random_draws()), now=KEPT_AT, timezone="UTC", probabilities=used)
    with unit_of_work(sellers) as session:
        assert read_kept_deals(session, run_id)["win_probability"].to_list() == [0.25]


def test_what_was_booked_in_the_year_before_is_kept_beside(sellers):
    """Totals of a quarter or year that began before the forecast need the months that are over."""
    store(
        sellers,
        opportunity("july", status="won", closed_at=day(7, 3), won_amount=70),
        opportunity("august", status="won", closed_at=day(8, 31), won_amount=30, owner_id="U03"),
        opportunity("too old", status="won", closed_at=day(8, 31, 2025), won_amount=1000),
    )
    run_id = keep(sellers, forecast_of(random_draws()))
    with unit_of_work(sellers) as session:
        before = read_cells(session, run_id).filter(pl.col("month") < date(2026, 9, 1))
    booked = before.filter(pl.col("won") != 0)
    assert booked.select("level", "unit_id", "month", "won").rows() == [
        ("company", "", date(2026, 7, 1), 70.0),
        ("company", "", date(2026, 8, 1), 30.0),
        ("person", "U01", date(2026, 7, 1), 70.0),
        ("person", "U03", date(2026, 8, 1), 30.0),
        ("team", "T1", date(2026, 7, 1), 70.0),
        ("team", "T2", date(2026, 8, 1), 30.0),
    ]
    assert before.height == 2 * before.select("level", "unit_id").n_unique()
    assert before["draws"].list.len().sum() == 0
    assert before["mean"].to_list() == before["won"].to_list()
