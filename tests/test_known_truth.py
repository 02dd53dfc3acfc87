"""On simulated companies whose true probabilities are known: what is served is near the truth, or nothing is claimed."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import BRIEF, DAY, EXPERIMENT, SILENT, UNTIL, store_history

from forecast.demo import simulate_company
from forecast.errors import TooLittleHistoryError
from forecast.metrics import fit_sigmoid
from forecast.policies import DEFAULT_THRESHOLDS
from forecast.scoring.grades import GradePolicies
from forecast.scoring.scores import score_opportunities
from forecast.snapshot import cut_history
from training.folds import newest_part
from training.pipeline import train_win_model

CUT = UNTIL - 270 * DAY


def train(history, until=UNTIL):
    """Train with a few trials on what was known at a moment."""
    return train_win_model(
        cut_history(history, until),
        EXPERIMENT,
        until=until,
        version_id="v",
        live=None,
        budget=BRIEF,
        listener=SILENT,
    )


@pytest.fixture(scope="module")
def company():
    """A company large enough for its truth to be found."""
    return simulate_company(2, UNTIL, opportunities=2500)


@pytest.fixture(scope="module")
def history(server, company, tmp_path_factory):
    """Its history, imported and read back."""
    return store_history(server, company, tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def run(history):
    """What was learnt of it nine months before its end."""
    return train(history, CUT)


@pytest.fixture(scope="module")
def served(company, history, run):
    """Score the opportunities of the nine months after, at their creation, and join the truth."""
    new = history.opportunities.filter(pl.col("created_at") >= CUT).select("opportunity_id", as_of="created_at")
    scores = score_opportunities(history, run.candidate, new, policies=GradePolicies(default=DEFAULT_THRESHOLDS))
    return scores.join(company.truth, on="opportunity_id", validate="1:1").select(
        "probability", "probability_low", "probability_high", "p_true"
    )


def log_loss(p_true, probability):
    """Give the log loss that is to be expected where wins come with `p_true`."""
    return -np.mean(p_true * np.log(probability) + (1 - p_true) * np.log(1 - probability))


def test_a_company_with_signal_is_learnt(run):
    """Every gate is passed on rows that were not seen."""
    assert run.verdict == "promoted: every gate passed"
    assert run.suspicions == []


def test_probabilities_mean_what_they_say(served):
    """On opportunities of later months, probabilities at creation are those that wins really come with."""
    probability, p_true = served["probability"].to_numpy(), served["p_true"].to_numpy()
    slope, _ = fit_sigmoid(p_true, np.log(probability / (1 - probability)))
    assert len(served) > 400
    assert 0.8 < slope < 1.25
    assert abs(probability.mean() - p_true.mean()) < 0.05
    for part in np.array_split(np.argsort(probability), 10):
        assert abs(probability[part].mean() - p_true[part].mean()) < 0.1


def test_intervals_hold_the_truth_as_often_as_they_say(served):
    """About four in five of the true probabilities lie between the ends, and the ends are not those of knowing nothing."""
    inside = served["p_true"].is_between(served["probability_low"], served["probability_high"])
    assert 0.7 < inside.mean() < 0.95
    assert (served["probability_high"] - served["probability_low"]).mean() < 0.45


def test_most_of_what_can_be_known_is_known(served, run):
    """Between the share won so far and the truth itself, the loss at creation lies about half-way, and ranks well."""
    probability, p_true = served["probability"].to_numpy(), served["p_true"].to_numpy()
    prior = np.full(len(served), run.prior.estimator.shares[0])
    best, worst = log_loss(p_true, p_true), log_loss(p_true, prior)
    assert best < log_loss(p_true, probability) < worst - 0.4 * (worst - best)
    assert np.corrcoef(probability, p_true)[0, 1] > 0.65


def shuffled(history, seed):
    """Give the same history with won and lost dealt out anew among the closed."""
    status = history.closings["status"].to_numpy().copy()
    closed = status != "open"
    status[closed] = np.random.default_rng(seed).permutation(status[closed])
    return replace(history, closings=history.closings.with_columns(pl.Series("status", status, dtype=pl.String)))


def nothing_is_claimed(run):
    """Tell whether a run ended with no signal, and has a prior to be served instead."""
    return run.verdict.startswith("no signal found: not promoted: gate ") and not run.promotable


@pytest.mark.parametrize("seed", [100, 101])
def test_pure_noise_is_not_promoted(server, tmp_path, seed):
    """Where nothing says anything about the outcome, no version is served, and the share won is near the truth."""
    company = simulate_company(seed, UNTIL, opportunities=600, signal=0.0)
    run = train(store_history(server, company, tmp_path / "company"))
    assert nothing_is_claimed(run)
    assert run.prior.estimator.shares[0] == pytest.approx(company.truth["p_true"][0], abs=0.06)


@pytest.fixture(scope="module")
def small(server, tmp_path_factory):
    """The history of a small company."""
    return store_history(server, simulate_company(3, UNTIL, opportunities=400), tmp_path_factory.mktemp("small"))


def keep(history, won, lost):
    """Keep so many won and lost opportunities, of all times, and the open ones."""
    status = pl.col("status")
    kept = (
        history.closings.sample(fraction=1.0, shuffle=True, seed=1)
        .filter(
            (status == "open")
            | ((status == "won") & ((status == "won").cum_sum() <= won))
            | ((status == "lost") & ((status == "lost").cum_sum() <= lost))
        )
        .sort("opportunity_id")
    )
    return replace(
        history,
        closings=kept,
        opportunities=history.opportunities.join(kept, on="opportunity_id", how="semi", maintain_order="left"),
    )


@pytest.mark.parametrize(("won", "lost"), [(39, 200), (60, 39), (1, 0)])
def test_a_tiny_company_gets_its_share_won(small, won, lost):
    """Below 40 won and 40 lost nothing is searched; the counts are said, and the share won is what is served."""
    run = train(keep(small, won, lost))
    assert run.candidate is None
    assert run.gates == []
    assert run.verdict == (
        f"not promoted: {won} won and {lost} lost opportunities are known, 40 of each are needed; "
        "the share won so far is served"
    )
    assert any("probabilities are rough" in warning for warning in run.warnings)
    assert all(0 < share < 1 for share in run.prior.estimator.shares)


def test_a_small_company_is_tried(small):
    """Where there is enough to judge by time, a version is trained and judged, with a warning that it is rough."""
    run = train(keep(small, 90, 150))
    assert run.candidate is not None
    assert run.gates
    assert any(warning.startswith("only 90 won and 150 lost opportunities: ") for warning in run.warnings)


def test_a_history_too_short_to_be_judged_by_time_is_judged_by_creation(small):
    """Forty of each, of which few were known early, are judged on the newest opportunities, which is said."""
    run = train(keep(small, 40, 40))
    assert newest_part(run.dataset, 0.2, EXPERIMENT.seed).order == "created" or run.candidate is None
    assert run.verdict.startswith("not promoted: ") or any("somewhat too good" in text for text in run.warnings)


def test_a_company_that_closed_nothing_has_no_share(small):
    """Without one closed opportunity there is no honest number at all."""
    with pytest.raises(TooLittleHistoryError, match="no opportunity had closed before"):
        train(keep(small, 0, 0))


def without(history, *moments):
    """Give a history as an export without these dates would make it; stages and changes are not exported either."""
    return replace(
        history,
        opportunities=history.opportunities.with_columns(
            pl.lit(None, history.opportunities[name].dtype).alias(name) for name in moments if name != "closed_at"
        ),
        closings=history.closings.with_columns(pl.lit(None, history.closings["closed_at"].dtype).alias("closed_at")),
        changes=history.changes.clear(),
        account_changes=history.account_changes.clear(),
        activities=history.activities.clear(),
    )


@pytest.mark.parametrize("lost", [(), ("closed_at",), ("created_at", "closed_at")])
def test_shuffled_outcomes_are_not_promoted(small, lost):
    """Real records whose outcomes were dealt out at random teach nothing, with all their dates, some or none."""
    assert nothing_is_claimed(train(shuffled(without(small, *lost) if lost else small, seed=1)))


def test_an_export_without_dates_is_learnt_and_said_to_be_so(small):
    """Random opportunities are held out, the warning says what that means, and nothing of the calendar is learnt."""
    run = train(without(small, "created_at", "closed_at"))
    assert newest_part(run.dataset, 0.2, EXPERIMENT.seed).order == "random"
    assert any("no creation dates: folds are of random opportunities, not of time" in text for text in run.warnings)
    assert run.metrics["model_auc"] > 0.65
    assert not {"age_days", "quarter_end_days", "stage_days"} & set(run.candidate.estimator.encoding.features)
    assert run.candidate.bundle["data"]["first_as_of"] is None


def test_an_export_without_closing_dates_is_learnt_from_its_creation(small):
    """Outcomes count as known from creation, which is said, and a date that goes on with the calendar is not learnt."""
    run = train(without(small, "closed_at"))
    assert newest_part(run.dataset, 0.2, EXPERIMENT.seed).order == "known"
    assert any(text.startswith("closed opportunities without a closing date: ") for text in run.warnings)
    assert run.metrics["model_auc"] > 0.65
    assert not {"age_days", "quarter_end_days"} & set(run.candidate.estimator.encoding.features)
    closed = run.dataset.keys.filter(pl.col("won").is_not_null())
    assert closed["as_of"].equals(closed["created_at"], check_names=False)
