import numpy as np
import pytest

from forecast.estimators.deal_clock import DealClock, fit_clock

COLUMNS = ("noise", "amount", "age_days")


def drawn(exponent, count=1500, seed=1):
    """Draw amounts, and times to an end that go with a power of them, watched for a year at most."""
    draw = np.random.default_rng(seed)
    amounts = np.exp(draw.normal(10, 1.2, count))
    lasts = draw.gamma(2, 20, count) * (amounts / np.exp(10)) ** exponent
    watched = draw.uniform(1, 365, count)
    return amounts, np.minimum(lasts, watched), lasts <= watched


@pytest.mark.parametrize("exponent", [0.5, 0.25, -0.3])
def test_the_exponent_is_found_though_many_are_still_open(exponent):
    """How time goes with the amount is learnt from ended and open opportunities alike."""
    clock = fit_clock(*drawn(exponent), columns=COLUMNS)
    assert clock.exponent == pytest.approx(exponent, abs=0.08)
    assert (clock.amount_column, clock.age_column) == (1, 2)


def test_no_clock_without_evidence():
    """There is none where amounts say nothing of time, of few ends, or where the amount is not learnt from."""
    assert sum(fit_clock(*drawn(0.0, seed=seed), columns=COLUMNS) is not None for seed in range(20)) <= 3
    assert fit_clock(*drawn(0.5, count=40), columns=COLUMNS) is None
    assert fit_clock(*drawn(0.5), columns=("noise", "age_days")) is None
    nothing = np.full(1500, np.nan)
    assert fit_clock(nothing, nothing, np.ones(1500, bool), columns=COLUMNS) is None


def test_an_amount_that_says_nothing_has_the_usual_pace():
    """Unknown amounts, and those not above zero, live at the pace of the usual one; very large ones at that of the bound."""
    clock = DealClock(amount_column=0, age_column=1, usual=100.0, exponent=0.5, low=25.0, high=400.0)
    matrix = np.array([[np.nan, 10.0], [0.0, 10.0], [-5.0, 10.0], [400.0, 10.0], [1e9, 10.0], [25.0, 10.0]])
    assert clock.paces(matrix).tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 0.5]
    assert clock.with_own_age(matrix)[:, -1].tolist() == [10.0, 10.0, 10.0, 5.0, 5.0, 20.0]
    assert clock.fastest == 0.5
    assert DealClock.from_json(clock.to_json()) == clock


def test_without_an_age_rows_stay_as_they_are():
    """A matrix that holds no age gets none by the clock."""
    clock = fit_clock(*drawn(0.5), columns=("amount",))
    matrix = np.array([[1000.0]])
    assert clock.with_own_age(matrix) is matrix
