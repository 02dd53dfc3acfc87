from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
from learning import UNTIL
from mlflow import MlflowClient

from forecast.errors import InputError
from forecast.estimators.revenue import usual_model
from forecast.registry import get_live_version, read_version
from forecast.revenue.records import months_ahead, read_sales
from forecast.revenue_records import read_sales_records
from forecast.snapshot import cut_history
from forecast.store import unit_of_work
from training.revenue import train_and_register_revenue, train_revenue
from training.revenue_backtest import Origin, origins_before, trial_moments
from training.revenue_config import read_revenue_experiment
from training.revenue_fit import blended, fit_revenue_model, learn
from training.revenue_gates import decide_revenue_gates, judge_origins, measure_revenue

MODELS = Path(__file__).parents[2] / "models"
EXPERIMENT = read_revenue_experiment(MODELS, "revenue_forecast")
BRIEF = replace(
    EXPERIMENT,
    horizon_months=2,
    data=replace(EXPERIMENT.data, origins=5, origins_min=4),
    gates=replace(EXPERIMENT.gates, judged_months=2, confidence=0.0, coverage_min=0.0, coverage_max=1.0),
)
PERSONS, MONTHS, DRAWS = 4, 3, 200
USUAL = usual_model(1.0)


def draw_origins(*, parts_error, series_error, count=40, seed=1):
    """Draw origins at which each view misses what comes by so much, the newest first; draws know of no error."""
    rng = np.random.default_rng(seed)
    found = []
    for turn in range(1, count + 1):
        as_of = UNTIL - turn * timedelta(days=30)
        months = months_ahead(as_of, MONTHS, "UTC")
        actual = rng.gamma(20, 5, (PERSONS, MONTHS))

        def missed(error, actual=actual):
            return actual * np.exp(rng.normal(0, error, (1, MONTHS)))

        parts = missed(parts_error)
        over = months.ends_days <= (UNTIL - as_of) / timedelta(days=1)
        found.append(
            Origin(
                as_of=as_of,
                months=months,
                parts=parts,
                series=missed(series_error),
                won=np.zeros(PERSONS),
                drawn=parts[:, :, None] * rng.gamma(100, 1 / 100, (PERSONS, MONTHS, DRAWS)),
                actual=np.where(over, actual, np.nan),
                company=np.where(over, actual.sum(axis=0), np.nan),
                naive=missed(0.4).sum(axis=0),
                weighted=missed(0.5).sum(axis=0),
                usual=USUAL,
            )
        )
    return found


def lessons_of(origins):
    """Try every weight and spread on origins."""
    return [learn(origin, seed=1) for origin in origins]


@pytest.mark.parametrize(("errors", "low", "high"), [((0.05, 0.5), 0.0, 0.2), ((0.5, 0.05), 0.75, 1.0)])
def test_the_better_view_gets_the_weight(errors, low, high):
    """The view that missed less in the past has most of the weight, at every month ahead."""
    lessons = lessons_of(draw_origins(parts_error=errors[0], series_error=errors[1]))
    shares = fit_revenue_model(lessons, UNTIL, usual=USUAL).series_shares["company"]
    assert all(low <= share <= high for share in shares), shares


def test_the_blend_of_equal_views_beats_both():
    """Where both views miss as much, each in its own way, the blend misses less than either."""
    judged = judge_origins(lessons_of(draw_origins(parts_error=0.3, series_error=0.3, count=60)), seed=1)
    errors = measure_revenue(judged, MONTHS)
    assert errors["blend_absolute_error"] < min(errors["parts_absolute_error"], errors["series_absolute_error"])


def test_without_origins_the_usual_holds():
    """Nothing learnt leaves the usual weights and spreads; a single origin hardly moves them."""
    found = fit_revenue_model(lessons_of(draw_origins(parts_error=0.05, series_error=0.5, count=2)), UNTIL, usual=USUAL)
    assert found.series_shares["company"][0] == pytest.approx(USUAL.series_shares["company"][0], abs=0.1)
    assert fit_revenue_model([], UNTIL, usual=USUAL).series_shares == USUAL.series_shares


def test_months_that_were_not_over_teach_nothing():
    """What was not booked yet at a moment changes nothing that is learnt then."""
    origins = draw_origins(parts_error=0.2, series_error=0.2)
    moment = UNTIL - timedelta(days=300)
    blind = [
        replace(
            origin,
            actual=np.where(origin.known_at(moment), origin.actual, np.nan),
            company=np.where(origin.known_at(moment), origin.company, np.nan),
        )
        for origin in origins
    ]
    assert fit_revenue_model(lessons_of(origins), moment, usual=USUAL) == fit_revenue_model(
        lessons_of(blind), moment, usual=USUAL
    )


def test_ranges_widen_to_what_missed():
    """Errors that strike all sales together are not in the draws; ranges learn them and hold about as often as they say."""
    origins = draw_origins(parts_error=0.3, series_error=0.3, count=80)
    model = fit_revenue_model(lessons_of(origins[20:]), UNTIL, usual=USUAL)
    assert model.spreads["company"][0] > 0.17
    inside = [
        (said.bounds[2] <= origin.company) & (origin.company <= said.bounds[3])
        for origin in origins[3:]
        for said in [blended(origin, model, seed=1)]
    ]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.1)


def test_a_forecast_that_is_worse_than_its_yardsticks_fails_its_gates():
    """Views that know nothing lose to yardsticks that know much, and the gates say so."""
    origins = [
        replace(origin, naive=np.nan_to_num(origin.company), weighted=np.nan_to_num(origin.company))
        for origin in draw_origins(parts_error=0.8, series_error=0.8)
    ]
    gates = decide_revenue_gates(judge_origins(lessons_of(origins), seed=1), EXPERIMENT.gates, seed=1)
    assert [gate.passed for gate in gates[:2]] == [False, False]


@pytest.fixture(scope="module")
def records(company_engine):
    """Sales of the small company."""
    with unit_of_work(company_engine) as session:
        return read_sales_records(session, timezone="UTC")


@pytest.mark.filterwarnings("ignore:::mlflow")
def test_a_run_is_released_and_served(settings, company_engine):
    """A version that passed its gates goes live as text alone, and is read back as it was fitted."""
    release = train_and_register_revenue(
        company_engine,
        settings,
        BRIEF,
        models=MODELS,
        until=UNTIL,
        now=datetime(2026, 11, 2, tzinfo=UTC),
        currency=None,
        promote=True,
        step=lambda _: None,
    )
    assert release.run.promotable, release.run.verdict
    live = get_live_version(settings.models_folder, "revenue_forecast")
    assert live.version == release.live
    assert live.estimator == release.run.candidate.estimator == read_version(release.folder).estimator
    assert {path.suffix for path in release.folder.iterdir()} == {".json", ".md"}
    card = (release.folder / "card.md").read_text()
    champion = MlflowClient(settings.tracking_uri).get_model_version_by_alias("revenue_forecast", "champion")
    assert champion.tags["version"] == live.version
    logged = MlflowClient(settings.tracking_uri).get_run(champion.run_id).data.metrics
    assert f"| 1 | 5 | {logged['blend_absolute_error_month_1']:.1%} |" in card
    months = pd.DataFrame({"ahead": [0, 1], "parts": [100.0, 100.0], "series": [200.0, None]})
    loaded = mlflow.pyfunc.load_model("models:/revenue_forecast@champion").predict(months)
    assert loaded.to_list() == pytest.approx([100 * (1 + live.estimator.series_shares["company"][0]), 100])
    assert "## Weights and spreads" in card
    assert "| month ahead | origins |" in card


def test_too_little_history_is_not_promoted(records):
    """With fewer earlier months than are needed the usual weights are served, and the verdict says why."""
    strict = replace(BRIEF, data=replace(BRIEF.data, origins=2, origins_min=12))
    run = train_revenue(records, strict, until=UNTIL, currency=None, version_id="v", step=lambda _: None)
    assert run.candidate is None
    assert not run.promotable
    assert run.prior.estimator == usual_model(read_sales(records, UNTIL).announced_share)
    assert "12 are needed" in run.verdict


def test_an_origin_knows_what_was_known_then(records):
    """What both views say at an earlier moment does not depend on how much is known by now."""
    early = replace(
        records,
        history=cut_history(records.history, UNTIL - timedelta(days=10)),
        orders=records.orders.filter(pl.col("ordered_at") < UNTIL - timedelta(days=10)),
    )
    arguments = {"currency": None, "count": 1, "horizon": 2, "seed": 1, "step": lambda _: None}
    (now,) = origins_before(records, UNTIL, **arguments)
    (then,) = origins_before(early, UNTIL, **arguments)
    assert now.as_of == then.as_of < UNTIL - timedelta(days=10)
    for name in ("parts", "series", "won", "drawn", "naive", "weighted"):
        assert np.array_equal(getattr(now, name), getattr(then, name)), name


@pytest.mark.parametrize("days", [250, 327, 340, 700])
def test_trials_come_to_all_places_of_the_month(records, days):
    """However long the history is, no fifth of a month is without a moment: steps of half a month would know two places."""
    sales = read_sales(records, UNTIL)
    recent = sales.booked.filter(pl.col("booked_at") > UNTIL - timedelta(days=days))
    moments = trial_moments(replace(sales, booked=recent, deals=sales.deals.clear()), 14)
    assert len(moments) == 14
    places = np.sort([moment.timestamp() / 86400 / 30.4375 % 1 for moment in moments])
    assert np.diff(places, append=places[0] + 1).max() <= 0.2


def test_a_misspelt_config_is_refused(tmp_path):
    """A key that means nothing is named, as is a file that is not there."""
    (tmp_path / "revenue_forecast").mkdir()
    (tmp_path / "revenue_forecast" / "config.toml").write_text(EXPERIMENT.text + "\nmonths = 3\n")
    with pytest.raises(InputError, match="months is unknown"):
        read_revenue_experiment(tmp_path, "revenue_forecast")
    with pytest.raises(InputError, match=r'no model "other".*there are: revenue_forecast'):
        read_revenue_experiment(tmp_path, "other")
