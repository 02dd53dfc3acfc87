from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from learning import UNTIL

from forecast.errors import TooLittleHistoryError
from forecast.estimators.win import occasions
from forecast.scoring.closings import expected_closings, won_by_days, won_by_month_ends
from forecast.snapshot import known_opportunities
from training.curve import fit_curve


@pytest.fixture(scope="module")
def subjects(history):
    """The open pipeline of a small company."""
    return known_opportunities(history, UNTIL)


def test_wins_by_month_end_add_up_over_time(history, run, subjects):
    """Each open opportunity has a row for each month end, and a chance of being won by it that never falls."""
    found = won_by_month_ends(history, run.candidate, subjects, months=4)
    assert found.height == 4 * subjects.height
    assert found["month_end"][:4].to_list() == [
        date(2026, 11, 30),
        date(2026, 12, 31),
        date(2027, 1, 31),
        date(2027, 2, 28),
    ]
    won = found["won_by"].to_numpy().reshape(-1, 4)
    assert (np.diff(won, axis=1) >= 0).all()
    assert ((won >= 0) & (won <= 1)).all()
    assert found["opportunity_id"].to_list() == [name for name in subjects["opportunity_id"] for _ in range(4)]


def test_what_is_won_in_the_end_is_at_most_what_the_score_says(history, run, subjects):
    """Within a horizon no more is won than if all were waited for."""
    found = expected_closings(history, run.candidate, subjects)
    from_scores = won_by_month_ends(history, run.candidate, subjects, months=24)
    last = from_scores.group_by("opportunity_id", maintain_order=True).last()["won_by"].to_numpy()
    assert found["won_within_horizon"].to_numpy() == pytest.approx(last)


def test_an_expected_closing_has_an_interval_and_a_chance_to_slip(history, run, subjects):
    """The expected day lies between its bounds; a close date that is over has slipped, and a later one slips less."""
    found = expected_closings(history, run.candidate, subjects)
    assert (found["closes_from"] <= found["closes_on"]).all()
    assert (found["closes_on"] <= found["closes_until"]).all()
    dates = subjects.join(history.opportunities, on="opportunity_id", maintain_order="left")["expected_close_on"]
    over = (dates < UNTIL.date()).fill_null(value=False)
    assert over.any()
    assert (found["slip_probability"].filter(over) == 1).all()
    assert found["slip_probability"].is_null().equals(dates.is_null(), check_names=False)
    ahead = found.filter((dates > UNTIL.date()).fill_null(value=False))["slip_probability"]
    assert ((ahead >= 0) & (ahead < 1)).all()


def test_the_moments_of_entering_a_stage_do_not_speak_of_any_day(run):
    """The curve is the one learnt without them."""
    dataset, encoding = run.dataset, run.candidate.estimator.encoding
    entered = occasions(dataset.features)["entry"]
    with_them, without = (
        fit_curve(part, encoding, UNTIL, horizon_days=365.0, seed=1) for part in (dataset, dataset.part(~entered))
    )
    assert entered.any()
    assert with_them == without


def test_a_version_without_a_curve_says_so(history, run, subjects):
    """The share won so far knows no dates, and neither does a version that was learnt from none."""
    bare = replace(run.candidate, estimator=replace(run.candidate.estimator, curve=None))
    for version in (run.prior, bare):
        with pytest.raises(TooLittleHistoryError, match="has no win curve"):
            expected_closings(history, version, subjects)


def test_wins_by_days_are_those_by_the_month_ends_that_lie_there(history, run, subjects):
    """Asked for by days, the curve says what it says of the month ends so many days ahead."""
    by_month = won_by_month_ends(history, run.candidate, subjects, months=2)["won_by"].to_numpy().reshape(-1, 2)
    found = won_by_days(history, run.candidate, subjects, np.array([30.0, 61.0]))
    np.testing.assert_allclose(found, by_month)
