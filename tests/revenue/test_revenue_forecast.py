from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from learning import UNTIL
from pipelines import DAY, START, steady_pipeline

from forecast.estimators.revenue import USUAL_SPREADS, RevenueModel, usual_model
from forecast.records import Order
from forecast.revenue.blending import blend_factors
from forecast.revenue.cells import check_cells, draws_of
from forecast.revenue.forecasting import forecast_revenue
from forecast.revenue.records import months_ahead, read_sales
from forecast.revenue.views import both_views
from forecast.revenue.yardsticks import booked_in
from forecast.snapshot import cut_history

AS_OF = UNTIL - timedelta(days=40)


def forecast_at(records, as_of, **more):
    """Forecast with the usual weights."""
    return forecast_revenue(read_sales(records, as_of), model=None, version=None, names=records.names, **more)


@pytest.fixture(scope="module")
def forecast(company_records):
    """The simulated company's forecast."""
    return forecast_at(company_records, AS_OF)


def test_units_of_every_level_add_up(forecast):
    """Teams, persons, regions and products add up to the company, in the parts, in both views, in the blend and in every draw."""
    cells = check_cells(forecast.cells)
    assert cells["level"].unique(maintain_order=True).to_list() == ["company", "team", "person", "region", "product"]
    whole = cells.filter(pl.col("level") == "company")
    for (level,), part in cells.group_by("level"):
        sums = (
            part.group_by("month", maintain_order=True)
            .agg(pl.col("won", "open", "new", "mean", "series").sum())
            .sort("month")
        )
        for name in ("won", "open", "new", "mean", "series"):
            assert sums[name].to_numpy() == pytest.approx(whole[name].to_numpy(), rel=1e-9), (level, name)


def test_nothing_is_negative_or_below_what_is_booked(forecast):
    """What is won already stays won in every future."""
    draws = draws_of(forecast.cells)
    assert (draws >= forecast.cells["won"].to_numpy()[:, None] * (1 - 1e-6)).all()
    assert forecast.cells.select(pl.col("won", "open", "new", "mean", "lo-95").min()).min_horizontal()[0] >= 0


def test_draws_have_the_mean_that_is_said(forecast):
    """The mean of a thousand futures is the blend, but for chance."""
    company = forecast.cells.filter(pl.col("level") == "company")
    draws = draws_of(company)
    chance = 4 * draws.std(axis=1) / np.sqrt(draws.shape[1])
    assert (np.abs(draws.mean(axis=1) - company["mean"].to_numpy()) < chance).all()


def test_what_comes_later_changes_nothing(company_records, forecast):
    """A forecast of a past moment is the one that was made then: later records and changes don't reach it."""
    then = replace(
        company_records,
        history=cut_history(company_records.history, AS_OF),
        orders=company_records.orders.filter(pl.col("ordered_at") < AS_OF),
    )
    assert forecast_at(then, AS_OF).cells.equals(forecast.cells)


def test_the_first_month_holds_what_is_won(forecast, company_records):
    """`won` is what was booked in the month up to the moment, and nothing in later months."""
    booked = read_sales(company_records, AS_OF).booked
    local = pl.col("booked_at").dt.convert_time_zone("Asia/Shanghai").dt.date()
    company = forecast.cells.filter(pl.col("level") == "company")
    this_month = booked.filter(local >= company["month"][0])["amount"].sum()
    assert company["won"].to_list() == pytest.approx([this_month, 0, 0, 0, 0, 0])


def test_the_blend_lies_between_its_views(company_records):
    """Weight one is the time series, weight none the parts; between them lies what is between."""
    views = both_views(read_sales(company_records, AS_OF), horizon=3, seed=1)
    parts = views.parts

    def company(share):
        model = RevenueModel(series_shares={"company": (share,), "person": (0.0,)}, spreads=USUAL_SPREADS)
        return (blend_factors(parts, views.series, model) * parts).sum(axis=0)

    assert company(0.0) == pytest.approx(parts.sum(axis=0))
    assert company(1.0) == pytest.approx(views.series.sum(axis=0))
    assert company(0.5) == pytest.approx((company(0.0) + company(1.0)) / 2)


def test_the_less_is_announced_the_more_the_time_series_says():
    """Where opportunities announce all that is booked the time series says little, where they announce none half; else between, nearer to little."""
    every, some, none = (usual_model(share).series_share("company", 6) for share in (1.0, 0.5, 0.0))
    assert (every <= 0.2).all()
    assert none == pytest.approx(0.5)
    assert ((every < some) & (some < (every + none) / 2)).all()


def test_orders_with_a_season_are_forecast_as_well_as_by_their_time_series(records_of):
    """Of a shop that sells three times as much in four months of each year, the blend misses little more than its better view."""
    rng = np.random.default_rng(4)
    days = [
        day
        for day in range(1000)
        for _ in range(rng.poisson(2.4 if (START + day * DAY).month in {5, 6, 7, 8} else 0.8))
    ]
    orders = [
        Order(id=f"D{place}", ordered_at=START + (day + 0.5) * DAY, amount=round(float(amount), 2))
        for place, (day, amount) in enumerate(zip(days, rng.gamma(4, 25, len(days)), strict=True))
    ]
    records = records_of(*orders)
    missed = {"mean": 0.0, "series": 0.0, "parts": 0.0}
    for moment in range(640, 881, 60):
        as_of = START + moment * DAY
        company = forecast_at(records, as_of, horizon=3).cells.filter(pl.col("level") == "company")
        actual = booked_in(read_sales(records, START + 1000 * DAY), months_ahead(as_of, 3, "UTC"))
        said = company.select("mean", "series", parts=pl.col("won") + pl.col("new"))
        missed = {name: before + float(np.abs(said[name].to_numpy() - actual).sum()) for name, before in missed.items()}
    assert missed["mean"] < 1.2 * min(missed["series"], missed["parts"]), missed


def test_a_short_history_is_forecast_by_its_parts(records_of):
    """With a pipeline of two months there is no time series; the blend is the sum of the parts, and it says so."""
    records = records_of(*steady_pipeline(days=55))
    forecast = forecast_at(records, START + 55 * DAY)
    company = forecast.cells.filter(pl.col("level") == "company")
    assert company["series"].null_count() == 6
    parts = company.select(pl.sum_horizontal("won", "open", "new")).to_series()
    assert company["mean"].to_numpy() == pytest.approx(parts.to_numpy())
    assert any("time series" in remark for remark in forecast.remarks)


def test_orders_alone_are_enough(records_of):
    """With orders and no pipeline nothing comes from open opportunities, and the forecast is near the usual month."""
    rng = np.random.default_rng(1)
    orders = [
        Order(id=f"R{number}", ordered_at=START + at * DAY, amount=100, owner_id=f"U{number % 3}")
        for number, at in enumerate(rng.uniform(0, 366, 1200))
    ]
    forecast = forecast_at(records_of(*orders), START + 366 * DAY)
    company = forecast.cells.filter(pl.col("level") == "company")
    assert company["open"].to_list() == [0.0] * 6
    assert company["mean"].to_numpy() == pytest.approx(np.full(6, 10_000), rel=0.15)
    assert "no opportunity is open: the forecast rests on what was booked" in forecast.remarks


def test_sellers_of_several_teams_and_shops_without_sellers_have_teams(records_of):
    """Teams and regions that orders name are levels of their own, and add up to the company in every draw and view."""
    places = [("T1", "North"), ("T1", "South"), ("T2", "South"), (None, None)]
    rows = [
        Order(
            id=f"R{day}", ordered_at=START + day * DAY, amount=50 + day % 7, owner_id=owner, team_id=team, region=region
        )
        for day in range(0, 400, 2)
        for (team, region), owner in [(places[day // 2 % 4], "U1" if day % 3 else None)]
    ]
    cells = check_cells(forecast_at(records_of(*rows), START + 400 * DAY, horizon=3).cells)
    units = cells.group_by("level", maintain_order=True).agg(pl.col("unit_id").unique().sort())
    assert dict(units.iter_rows()) == {
        "company": [""],
        "team": ["T1", "T2", "no team"],
        "person": ["U1", "nobody"],
        "region": ["North", "South", "no region"],
    }
    sums = cells.group_by("level").agg(pl.col("mean", "series").sum())
    assert np.ptp(sums.select("mean", "series").to_numpy(), axis=0) == pytest.approx(0, abs=1e-6 * sums["mean"][0])
    teams = cells.filter(pl.col("level") == "team").group_by("unit_id").agg(pl.col("mean", "series").sum())
    assert teams["series"].to_numpy() == pytest.approx(teams["mean"].to_numpy(), rel=0.15)


def test_deals_without_creation_dates_are_forecast_by_what_was_booked(records_of):
    """An export that only says when opportunities were won still has a usual month, and a forecast near it."""
    rows = steady_pipeline(days=300, a_day=3.0)
    for row in rows:
        row.created_at = None
    forecast = forecast_at(records_of(*(row for row in rows if row.status == "won")), START + 300 * DAY)
    company = forecast.cells.filter(pl.col("level") == "company")
    assert company["mean"][1:].to_numpy() == pytest.approx(np.full(5, 3 * 0.3 * 100 * 30.4), rel=0.25)


def test_what_is_taken_back_draws_nothing_below_zero(records_of):
    """Returns lower what is expected, but no future of a month is negative."""
    rng = np.random.default_rng(1)
    orders = [
        Order(id=f"R{number}", ordered_at=START + at * DAY, amount=-100 if number % 4 == 0 else 100)
        for number, at in enumerate(rng.uniform(0, 330, 400))
    ]
    company = forecast_at(records_of(*orders), START + 330 * DAY).cells.filter(pl.col("level") == "company")
    assert company["mean"][1:].to_numpy() == pytest.approx(np.full(5, 400 / 330 * 30.4 * 50), rel=0.35)
    assert draws_of(company)[1:].min() >= 0


def test_a_unit_from_which_more_was_taken_back_than_it_will_sell_is_part_of_the_whole(records_of):
    """A seller whose months ahead add up to less than nothing is listed, as without them persons are not the company."""
    orders = [Order(id=f"R{n}", ordered_at=START + n * DAY, amount=100, owner_id=f"U{n % 3}") for n in range(150)]
    back = Order(id="back", ordered_at=START + 160 * DAY, amount=-50_000, owner_id="U1")
    cells = check_cells(forecast_at(records_of(*orders, back), START + 161 * DAY, horizon=2).cells)
    month = cells.filter(pl.col("level") == "person", pl.col("unit_id") == "U1")
    assert month["won"].to_list() == [-50_000, 0]


def test_a_pipeline_that_has_won_nothing_yet_is_counted(records_of):
    """Before the first sale, open opportunities are expected at the usual chance, and it is said what is not known."""
    forecast = forecast_at(records_of(*steady_pipeline(days=20)), START + 20 * DAY)
    company = forecast.cells.filter(pl.col("level") == "company")
    assert 0 < company["open"].sum() < 40 * 100
    assert company["mean"].to_list() == company["open"].to_list()
    assert any("nothing was booked yet" in remark for remark in forecast.remarks)
