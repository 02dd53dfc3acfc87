from datetime import date

import numpy as np
import pytest

from forecast.errors import InputError
from forecast.series.calendar import Calendar
from forecast.series.known_ahead import Inputs, effects, read_inputs, with_effects, without_effects
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
    inputs = Inputs(names=("promotion",), past=tuple(promotion[:, :known, None]), future=promotion[:, known:, None])
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


def test_a_period_without_its_input_is_refused(tmp_path):
    """The error names the series and the period."""
    panel, _, _ = split(*promoted(np.random.default_rng(3), effect=0.1, series=1))
    path = tmp_path / "future.csv"
    days = [MONTHLY.day(period) for period in range(41)]
    path.write_text("ds,promotion\n" + "".join(f"{day},1\n" for day in days))
    assert read_inputs(path, panel, 5).future.shape == (1, 5, 1)
    with pytest.raises(InputError, match='promotion of series "s0" for 2023-06-01'):
        read_inputs(path, panel, 6)


def test_inputs_of_history_may_stand_with_the_series(tmp_path):
    """The file of inputs may hold the periods ahead alone, where the series' own file has them for the past."""
    panel, _, _ = split(*promoted(np.random.default_rng(3), effect=0.1, series=1))
    past, ahead = tmp_path / "series.csv", tmp_path / "future.csv"
    days = [MONTHLY.day(period) for period in range(38)]
    past.write_text("unique_id,ds,y,promotion\n" + "".join(f"s0,{day},5,0\n" for day in days[:36]))
    ahead.write_text("unique_id,ds,promotion\n" + "".join(f"s0,{day},1\n" for day in days[36:]))
    found = read_inputs(ahead, panel, 2, history=past)
    assert found.past[0].sum() == 0
    assert found.future.ravel().tolist() == [1, 1]
