from datetime import date

import numpy as np
import pytest

from forecast.series.calendar import Calendar
from forecast.series.inputs import Inputs
from forecast.series.known_ahead import effects, with_effects, without_effects
from forecast.series.outlook import outlook_of_series
from forecast.series.panel import Panel

MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")


def promoted(generator, *, effect, series=8, count=42):
    """Make series whose promotions raise revenue, and the promotions."""
    promotion = (generator.random((series, count)) < 0.25).astype(float)
    noise = 0.05 * generator.standard_normal((series, count))
    return 100 * np.exp(effect * promotion + noise), promotion


def split(values, promotion, *, ahead=6):
    """Cut off the last periods as the future."""
    known = values.shape[1] - ahead
    panel = Panel(
        ids=tuple(f"s{place}" for place in range(len(values))),
        history=tuple(values[:, :known]),
        ends=np.full(len(values), known - 1),
        calendar=MONTHLY,
        season=12,
    )
    inputs = Inputs(
        names=("promotion",),
        past=tuple(promotion[:, :known, None]),
        future=promotion[:, known:, None],
        blocks=(np.arange(known + ahead),) * len(values),
    )
    return panel, inputs, values[:, known:]


def test_promotions_known_ahead_are_foreseen():
    """An effect of half is found, and halves the error at least."""
    panel, inputs, came = split(*promoted(np.random.default_rng(3), effect=0.4))
    found = effects(panel, inputs)
    assert found.mean() == pytest.approx(0.4, abs=0.08)
    clean, factors = without_effects(panel, inputs, found)
    knowing = with_effects(outlook_of_series(clean, 6), factors, None)
    unknowing = outlook_of_series(panel, 6)
    assert np.abs(knowing.mean - came).mean() < np.abs(unknowing.mean - came).mean() / 2


def test_inputs_that_explain_nothing_are_not_used():
    """Promotions without an effect change no forecast."""
    panel, inputs, _ = split(*promoted(np.random.default_rng(3), effect=0.0))
    assert effects(panel, inputs) is None
