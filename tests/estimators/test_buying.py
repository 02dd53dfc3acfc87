import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import beta as beta_function
from scipy.stats import gamma

from forecast.estimators.buying import BuyingRate, PurchaseValue, fit_buying_rate, fit_purchase_value

TRUTH = BuyingRate(r=0.7, alpha=5.0, a=0.9, b=2.4, log_likelihood=0.0)


def draw_customers(truth, seed=1, count=6000, weeks=52.0):
    """Draw repeats, age at the last purchase, and age of customers who buy as the truth says; then purchases later on."""
    draw = np.random.default_rng(seed)
    age = draw.uniform(10, weeks, count)
    repeats, last, later = np.zeros(count), np.zeros(count), np.zeros(count)
    for row in range(count):
        rate = draw.gamma(truth.r, 1 / truth.alpha)
        leaving = draw.beta(truth.a, truth.b) if truth.a else 0.0
        moment, stays = draw.exponential(1 / max(rate, 1e-9)), True
        while stays and moment <= age[row] + 26:
            if moment <= age[row]:
                repeats[row], last[row] = repeats[row] + 1, moment
            else:
                later[row] += 1
            stays = draw.random() >= leaving
            moment += draw.exponential(1 / max(rate, 1e-9))
    return repeats, last, age, later


@pytest.fixture(scope="module")
def customers():
    """Customers drawn from the truth."""
    return draw_customers(TRUTH)


def test_the_parameters_that_customers_were_drawn_from_are_found(customers):
    """Maximum likelihood comes near the truth, and the likelihood is no lower than the truth's own."""
    found = fit_buying_rate(*customers[:3])
    assert not found.trouble
    assert found.r == pytest.approx(TRUTH.r, rel=0.15)
    assert found.alpha == pytest.approx(TRUTH.alpha, rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(0.9 / 3.3, rel=0.15)


def test_expected_purchases_and_buyers_come_true(customers):
    """The truth's own predictions match what was drawn afterwards, in total and by number of repeats."""
    repeats, last, age, later = customers
    expected = TRUTH.expected(repeats, last, age, weeks=26.0)
    active = TRUTH.active(repeats, last, age, weeks=26.0)
    for group in (repeats >= 0, repeats == 0, (repeats > 0) & (repeats < 4), repeats >= 4):
        assert expected[group].mean() == pytest.approx(later[group].mean(), rel=0.1)
        assert active[group].mean() == pytest.approx((later[group] > 0).mean(), rel=0.1)


def test_the_likelihood_is_that_of_the_model(customers):
    """The log likelihood of customers is that of their purchases, integrated over rates and chances of leaving."""
    few = [values[:40] for values in customers[:3]]
    fitted = fit_buying_rate(*few)

    def density(rate, repeats, last, age):
        stays, leaves = (beta_function(fitted.a + one, fitted.b + repeats - one) for one in (0, 1))
        unit = beta_function(fitted.a, fitted.b)
        silent = rate**repeats * np.exp(-rate * age) * stays / unit
        left = rate**repeats * np.exp(-rate * last) * leaves / unit if repeats else 0.0
        return (silent + left) * gamma.pdf(rate, fitted.r, scale=1 / fitted.alpha)

    each = [quad(density, 0, np.inf, args=one)[0] for one in zip(*few, strict=True)]
    assert not fitted.trouble
    assert fitted.log_likelihood == pytest.approx(np.log(each).sum(), rel=1e-3)


def test_customers_who_never_leave_are_no_fit_of_bg_nbd():
    """Where nobody leaves, the boundary is noticed, NBD stands in for it, and says why."""
    repeats, last, age, later = draw_customers(
        BuyingRate(r=1.0, alpha=4.0, a=0.0, b=1.0, log_likelihood=0.0), count=2000
    )
    found = fit_buying_rate(repeats, last, age)
    assert "BG/NBD" in found.trouble
    assert found.a == 0
    assert found.expected(repeats, last, age, weeks=26.0).mean() == pytest.approx(later.mean(), rel=0.1)
    assert (found.alive(repeats, last, age) == 1).all()


def test_customers_who_are_all_as_likely_to_leave_are_a_fit():
    """Where leaving differs between nobody, its share is found all the same, and who was silent for long has left."""
    truth = BuyingRate(r=2.0, alpha=4.0, a=15_000.0, b=85_000.0, log_likelihood=0.0)
    repeats, last, age, later = draw_customers(truth, seed=6, count=300)
    found = fit_buying_rate(repeats, last, age)
    assert not found.trouble
    assert found.a / (found.a + found.b) == pytest.approx(0.15, rel=0.1)
    assert found.expected(repeats, last, age, weeks=26.0).mean() == pytest.approx(later.mean(), rel=0.1)
    gone = (age - last > 20) & (repeats > 5)
    assert found.alive(repeats, last, age)[gone].max() < 0.1


def test_the_unit_of_time_changes_nothing(customers):
    """Days instead of weeks give the same rates and the same expectations."""
    repeats, last, age, _ = (values[:1500] for values in customers)
    weekly, daily = fit_buying_rate(repeats, last, age), fit_buying_rate(repeats, last * 7, age * 7)
    assert daily.alpha == pytest.approx(weekly.alpha * 7, rel=1e-3)
    np.testing.assert_allclose(
        daily.expected(repeats, last * 7, age * 7, weeks=182.0),
        weekly.expected(repeats, last, age, weeks=26.0),
        rtol=1e-3,
    )


def test_one_customer_is_enough_to_answer():
    """A single customer, or many who bought once on the same day, get finite answers."""
    for repeats, last, age in ([[0.0], [0.0], [0.0]], [[3.0], [4.0], [5.0]], [[0.0] * 20, [0.0] * 20, [3.0] * 20]):
        given = np.array(repeats), np.array(last), np.array(age)
        found = fit_buying_rate(*given)
        assert np.isfinite(found.expected(*given, weeks=12.0)).all()


def test_values_are_shrunk_to_the_company_s():
    """The truth of gamma-gamma is found; the fewer purchases, the nearer the expected value is to the mean of all."""
    draw = np.random.default_rng(5)
    purchases = draw.integers(1, 12, 5000).astype(float)
    means = draw.gamma(6 * purchases, 1 / (purchases * draw.gamma(4, 1 / 15, 5000)))
    found = fit_purchase_value(purchases, means)
    assert (found.p, found.q) == pytest.approx((6, 4), rel=0.25)
    few, many = found.expected(np.array([1.0, 100.0]), np.array([200.0, 200.0]))
    assert np.average(means, weights=purchases) < few < many < 200


def test_fits_come_back_from_json(customers):
    """What was written down predicts the same."""
    rate = fit_buying_rate(*(values[:300] for values in customers[:3]))
    assert BuyingRate.from_json(json.loads(json.dumps(rate.to_json()))) == rate
    value = PurchaseValue(p=1.5, q=3.0, gamma=0.1 + 0.2)
    assert PurchaseValue.from_json(json.loads(json.dumps(value.to_json()))) == value
