from datetime import date

import numpy as np

from forecast.series.backtest import backtest, origins
from forecast.series.calendar import Calendar
from forecast.series.panel import Panel


def test_an_origin_that_no_series_reaches_is_left_out():
    """Of short and of long series the usual length is neither, so that an origin may suit none: the others are tried."""
    lengths = (14, 14, 22, 22)
    calendar = Calendar(unit="month", step=1, origin=date(2024, 1, 1), stamp="first")
    history = tuple(np.random.default_rng(1).gamma(5, 20, length) for length in lengths)
    panel = Panel(ids=tuple("abcd"), history=history, ends=np.full(4, 21), calendar=calendar, season=12)
    cuts = [cut for cut, _ in origins(panel, 6)]
    tried = [trial.cut for trial in backtest(panel, 6, seed=1)]
    assert 0 < len(tried) < len(cuts)
