from datetime import date

import numpy as np
import polars as pl
import pytest

from forecast.series.calendar import Calendar
from forecast.series.forecasting import forecast_series
from forecast.series.inputs import Inputs
from forecast.series.known_ahead import effects, with_effects, without_effects
from forecast.series.outlook import outlook_of_series
from forecast.series.panel import Panel
from forecast.series.reading import read_series

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


@pytest.mark.parametrize(("spent", "told"), [(1, "a unit"), (5000, "per 1,000")])
def test_an_effect_is_told_of_so_many_units_that_it_shows(tmp_path, spent, told):
    """Of a promotion the effect of one is said; of what is spent on it that of a thousand, which is no 0.0 %."""
    values, promotion = promoted(np.random.default_rng(3), effect=0.4, series=4)
    days = [f"{2020 + place // 12}-{place % 12 + 1:02}" for place in range(values.shape[1])]
    rows = [
        (f"s{one}", day, values[one, place], spent * promotion[one, place])
        for one in range(4)
        for place, day in enumerate(days)
    ]
    frame = pl.DataFrame(rows, schema=["unique_id", "ds", "y", "promotion"], orient="row")
    frame.drop("promotion").filter(pl.col("ds") < days[-6]).write_csv(tmp_path / "series.csv")
    frame.drop("y").write_csv(tmp_path / "future.csv")
    found = read_series(tmp_path / "series.csv", levels=[], season=None, today=date(2030, 1, 1))
    (remark,) = forecast_series(found, [], 6, future=tmp_path / "future.csv").remarks
    assert remark.startswith("known ahead, on average: promotion +")
    assert remark.endswith(told)
    assert "+0.0 %" not in remark


def test_inputs_that_explain_nothing_are_not_used():
    """Promotions without an effect change no forecast."""
    panel, inputs, _ = split(*promoted(np.random.default_rng(3), effect=0.0))
    assert effects(panel, inputs) is None
