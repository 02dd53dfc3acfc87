"""Backtests: the members' forecasts from earlier origins, against what came."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from forecast.series.boosting import boosted
from forecast.series.members import TINY, forecast_members
from forecast.series.panel import Floats, Ints, Panel
from forecast.series.seasonality import CYCLES_MIN

# Errors of this many series and origins say enough about the ranges of all.
ERRORS_WANTED = 450
ORIGINS_MIN, ORIGINS_MAX = 3, 8
# Histories longer than so many seasons, or periods where there is no season, are forecast about equally well.
LONG_SEASONS, LONG = 4, 30


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Forecasts from one origin.

    Attributes:
        cut: periods before the end.
        chosen: index of each tried series in the panel.
        forecasts: method to chosen series × steps; nan where the method does not suit.
        deviations: chosen series × steps, standard deviations before calibration.
        actual: chosen series × steps.
        scale: one a chosen series, its usual error: mean absolute difference to the last season, or to the last period.
        alike: one a chosen series, 0 to 1: how much its history then was like the one that is forecast from now.
    """

    cut: int
    chosen: Ints
    forecasts: dict[str, Floats]
    deviations: Floats
    actual: Floats
    scale: Floats
    alike: Floats


def backtest(panel: Panel, horizon: int, *, seed: int) -> list[Trial]:
    """Forecast from earlier origins, of as many series as are needed; empty where all series are too short."""
    cuts = origins(panel, horizon)
    if not cuts:
        return []
    share = max(1, ceil(len(panel.ids) * len(cuts) / ERRORS_WANTED))
    trials = []
    for turn, (cut, steps) in enumerate(cuts):
        chosen = np.flatnonzero([length - cut >= _needed(length, panel.season) for length in panel.lengths])
        chosen = chosen[turn % share :: share] if len(chosen) > share else chosen
        # The usual length lies between those of short and long series, which need histories of their own.
        if len(chosen):
            trials.append(_trial(panel, chosen, cut, steps, seed=seed))
    return trials


def origins(panel: Panel, horizon: int) -> list[tuple[int, int]]:
    """Choose origins, as periods before the end, with the steps that can be judged from each."""
    length = int(np.median(panel.lengths))
    spare = length - _needed(length, panel.season)
    if spare < 1:
        return []
    count = int(np.clip(ceil(ERRORS_WANTED / 3 / len(panel.ids)), ORIGINS_MIN, ORIGINS_MAX))
    if spare < horizon:
        cuts = np.linspace(spare, max(1, spare // 2), min(count, 2 if spare > 1 else 1))
    else:
        cuts = np.linspace(horizon, min(spare, 2 * horizon if count == ORIGINS_MIN else 3 * horizon), count)
    return [(cut, min(cut, horizon)) for cut in sorted({int(cut) for cut in cuts})]


def _needed(length: int, season: int) -> int:
    """Give the history an origin must have, so that the same methods are at work as at the end."""
    if length >= CYCLES_MIN * season + 2:
        return max(TINY, ceil(CYCLES_MIN * season))
    return max(2, min(season, int(0.6 * length)))


def _trial(panel: Panel, chosen: Ints, cut: int, steps: int, *, seed: int) -> Trial:
    before = panel.before(cut, chosen)
    members = forecast_members(before, steps)
    ends = panel.lengths[chosen] - cut
    return Trial(
        cut=cut,
        chosen=chosen,
        forecasts=members.forecasts | boosted(before, steps, seed=seed),
        deviations=members.deviations,
        actual=np.array([panel.history[i][end : end + steps] for i, end in zip(chosen, ends, strict=True)]),
        scale=np.array([usual_error(values, panel.season) for values in before.history]),
        alike=_likeness(ends, panel.lengths[chosen], panel.season),
    )


def _likeness(then: Ints, now: Ints, season: int) -> Floats:
    """Give the share of a history, up to where more adds little, that there was; none of it before its first season.

    Methods that know no season err otherwise than those at work once there is one.
    """
    enough = LONG_SEASONS * season if season > 1 else LONG
    share: Floats = np.minimum(then, enough) / np.minimum(now, enough)
    return np.where((then < season) & (now >= season), 0.0, share)


def usual_error(values: Floats, season: int) -> float:
    """Give the mean absolute difference to the last season, or to the last period where there is none; nan for none."""
    lag = season if len(values) > season else 1
    if len(values) <= lag:
        return float("nan")
    error = float(np.abs(values[lag:] - values[:-lag]).mean())
    return error or float("nan")
