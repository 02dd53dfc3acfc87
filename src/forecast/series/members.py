"""The members of the ensemble: forecasts of each series by the methods that suit its length."""

import warnings
from dataclasses import dataclass

import numpy as np

from forecast.series.closed import closed_places, closed_steps
from forecast.series.handful import errors_of_level, level, shared_pace
from forecast.series.panel import Floats, Ints, Panel, bounded, has_ended, may_be_negative
from forecast.series.seasonality import CYCLES_MIN, Profile, closeness, likeness, profiles

with warnings.catch_warnings():
    # The library's docstrings hold escapes that Python warns of when it compiles them.
    warnings.simplefilter("ignore")
    from statsforecast.models import IMAPA, MSTL, AutoETS, DynamicOptimizedTheta  # type: ignore[import-untyped]

# Decomposing by the libraries takes this many seasons; with fewer, only the shrunken pattern is used.
LIBRARY_SEASONS = 3
# Where the likeness of series can't be measured, this much of it is assumed.
LIKENESS_UNKNOWN = 0.2
# A return of series to where they began is as much evidence of a season as so much likeness.
RETURN_WEIGHT = 2.0
# Of the variance within a history of one season, so much usually is the season, where it is one.
SEASON_USUAL = 0.4
SPARSE_ZERO_SHARE = 0.4
# Below this level the library, whose bounds are of a fixed unit, does not find theta.
THETA_LEVEL = 1.0
# Smoothing by the library takes this many values.
TINY = 8
# What siblings tell of a series' deviations counts as so many values of its own.
SIBLING_VALUES = 4
# Residuals count half as much after a season, and after no fewer periods than these; all of history counts as so many new ones.
LATELY_MIN, RESIDUALS_USUAL = 8, 8.0


@dataclass(frozen=True, kw_only=True)
class Smoothed:
    """Exponential smoothing of one series, its pattern taken out.

    Attributes:
        forecast: mean by period ahead.
        deviations: standard deviation of its error by period ahead, as the model has it.
        residuals: one-step errors in the history, oldest first.
    """

    forecast: Floats
    deviations: Floats
    residuals: Floats


@dataclass(frozen=True, kw_only=True)
class Members:
    """Forecasts of a panel by each method.

    Attributes:
        forecasts: method to series × periods ahead; nan where the method does not suit the series.
        deviations: series × periods ahead, standard deviations of the errors before any calibration.
        residuals: one-step errors of each series' history, in the series' unit.
    """

    forecasts: dict[str, Floats]
    deviations: Floats
    residuals: tuple[Floats, ...]


def forecast_members(panel: Panel, horizon: int) -> Members:
    """Forecast each series by each method that works on one series alone."""
    found = profiles(panel)
    alike = likeness(found)
    evidence = max(LIKENESS_UNKNOWN if np.isnan(alike) else alike, RETURN_WEIGHT * closeness(panel))
    shape = (len(panel.ids), horizon)
    forecasts = {
        name: np.full(shape, np.nan) for name in ("theta", "smoothing", "decomposed", "classical", "last_year")
    }
    deviations, residuals = np.full(shape, np.nan), []
    pace = _pace(panel, found)
    for index, (values, profile) in enumerate(zip(panel.history, found, strict=True)):
        seat = _Seat(values, profile, panel.positions(index), panel.future_positions(index, horizon), panel.season)
        # What moves within less than a season may be the season.
        smoothed = seat.smoothed(horizon, pace=pace * min(1.0, len(values) / panel.season))
        deviations[index] = smoothed.deviations
        residuals.append(smoothed.residuals)
        for name, forecast in seat.forecasts(smoothed, horizon).items():
            forecasts[name][index] = bounded(forecast, values)
        if _has_one_pattern(values, panel.season) and not has_ended(values, panel.season):
            forecasts["last_year"][index] = bounded(_last_year(values, panel.season, horizon), values)
    shares = _mix_last_year(forecasts, panel, evidence)
    deviations *= np.sqrt(1 - SEASON_USUAL * shares**2)[:, None]
    _lean_deviations(deviations, panel)
    closed = closed_steps(panel, horizon)
    deviations[closed] = 0
    for forecast in forecasts.values():
        forecast[closed & np.isfinite(forecast)] = 0
    return Members(forecasts=forecasts, deviations=deviations, residuals=tuple(residuals))


@dataclass(frozen=True)
class _Seat:
    """One series where the methods are tried on it."""

    values: Floats
    profile: Profile
    past: Ints
    future: Ints
    season: int

    def smoothed(self, horizon: int, *, pace: float) -> Smoothed:
        """Smooth the series without its pattern; the pattern is in the result again."""
        found = smooth(self.profile.removed(self.values, self.past), horizon, pace=pace)
        wide = np.sqrt(1 + self.profile.doubt) * _lately(found.residuals, self.season)
        return Smoothed(
            forecast=self.profile.restored(found.forecast, self.future),
            deviations=self.profile.widened(found.deviations, self.future) * wide,
            residuals=self.profile.widened(found.residuals, self.past[-len(found.residuals) :]),
        )

    def forecasts(self, smoothed: Smoothed, horizon: int) -> dict[str, Floats]:
        """Forecast by each method that suits the series."""
        if has_ended(self.values, self.season):
            return {"smoothing": np.zeros(horizon)}
        found = {"smoothing": smoothed.forecast}
        if len(self.values) < TINY or np.ptp(self.values) == 0:
            return found
        if self._is_sparse():
            return found | {"theta": np.asarray(IMAPA().forecast(self.values.copy(), horizon)["mean"])}
        adjusted = self.profile.removed(self.values, self.past)
        found["theta"] = self.profile.restored(_theta(adjusted, 1, horizon), self.future)
        if self.season > 1 and len(self.values) >= LIBRARY_SEASONS * self.season:
            found["classical"] = _theta(self.values, self.season, horizon)
            found["decomposed"] = _decomposed(self.values, self.season, horizon)
        return found

    def _is_sparse(self) -> bool:
        """Say whether the series is mostly zero where its season lets it sell at all."""
        closed = closed_places(self.values, self.past, self.season)
        return bool(np.mean(self.values[~closed[self.past]] == 0) > SPARSE_ZERO_SHARE)


def smooth(values: Floats, horizon: int, *, pace: float) -> Smoothed:
    """Smooth exponentially, with additive errors and no trend; a handful of values at the pace that is given."""
    if len(values) < TINY or np.ptp(values) == 0:
        return _smooth_handful(values, horizon, pace)
    fitted = AutoETS(season_length=1, model="ANN").forecast(values.copy(), horizon, level=[50], fitted=True)
    # The upper half of a 50 % range is .6745 standard deviations.
    return Smoothed(
        forecast=np.asarray(fitted["mean"]),
        deviations=np.maximum((np.asarray(fitted["hi-50"]) - np.asarray(fitted["mean"])) / 0.6745, 0),
        residuals=values - np.asarray(fitted["fitted"]),
    )


def _smooth_handful(values: Floats, horizon: int, pace: float) -> Smoothed:
    if np.ptp(values) == 0:
        # One value says nothing of its error, several that are the same say that there is none.
        spread = abs(float(values[0])) / 2 if len(values) == 1 else 0.0
        return Smoothed(
            forecast=np.full(horizon, values[0]), deviations=np.full(horizon, spread), residuals=np.zeros(len(values))
        )
    mean, doubt = level(values, pace)
    errors = errors_of_level(values, pace)
    wider = np.sqrt(1 + doubt + pace**2 * np.arange(horizon))
    return Smoothed(forecast=np.full(horizon, mean), deviations=np.sqrt((errors**2).mean()) * wider, residuals=errors)


def _pace(panel: Panel, found: list[Profile]) -> float:
    """Give how fast levels of the series of a handful of values move, patterns taken out."""
    handfuls = [index for index, length in enumerate(panel.lengths) if length < TINY]
    return shared_pace([found[index].removed(panel.history[index], panel.positions(index)) for index in handfuls])


def _lately(residuals: Floats, season: int) -> float:
    """Give the usual residual of late beside that of all of history: a series errs in step with its level and its times."""
    squares = residuals**2
    if len(squares) < TINY or not squares.any():
        return 1.0
    weights = 0.5 ** (np.arange(len(squares))[::-1] / max(season, LATELY_MIN))
    every = float(squares.mean())
    return float(np.sqrt((weights @ squares + RESIDUALS_USUAL * every) / (weights.sum() + RESIDUALS_USUAL) / every))


def _theta(values: Floats, season: int, horizon: int) -> Floats:
    unit = min(1.0, float(np.abs(values).mean()) / THETA_LEVEL) or 1.0
    return unit * np.asarray(DynamicOptimizedTheta(season_length=season).forecast(values / unit, horizon)["mean"])


def _decomposed(values: Floats, season: int, horizon: int) -> Floats:
    model = MSTL(season_length=season, trend_forecaster=AutoETS(model="AAN", damped=True))
    return np.asarray(model.forecast(values.copy(), horizon)["mean"])


def _has_one_pattern(values: Floats, season: int) -> bool:
    return season > 1 and season <= len(values) < CYCLES_MIN * season


def _last_year(values: Floats, season: int, horizon: int) -> Floats:
    """Repeat the last season, grown by the root of the growth so far: half of it is chance."""
    repeated = values[-season:][np.arange(horizon) % season]
    shared = len(values) - season
    if shared < max(2, season // 4) or may_be_negative(values):
        return repeated
    now, then = values[-shared:].sum(), values[:shared].sum()
    growth = np.clip(now / then, 0.5, 2.0) if then > 0 else 1.0
    grown: Floats = repeated * np.sqrt(growth)
    return grown


def _lean_deviations(deviations: Floats, panel: Panel) -> None:
    """Lean what a handful of values tells of a series' deviations on those of longer siblings, as shares of their level.

    The level itself is known no better than the mean of so few values is.
    """
    level = np.array([float(np.abs(values).mean()) for values in panel.history])
    known = (panel.lengths >= TINY) & (level > 0) & (deviations[:, 0] > 0)
    if not known.any():
        return
    usual = np.median(deviations[known] / level[known, None], axis=0)
    for index in np.flatnonzero(panel.lengths < TINY):
        own = panel.lengths[index] - 1
        siblings = (usual * level[index]) ** 2 * (1 + 1 / (own + 1))
        deviations[index] = np.sqrt((own * deviations[index] ** 2 + SIBLING_VALUES * siblings) / (own + SIBLING_VALUES))


def _mix_last_year(forecasts: dict[str, Floats], panel: Panel, evidence: float) -> Floats:
    """Mix last year into the means of series that hold one pattern only, by the evidence that it is a pattern.

    It can't be told from chance by one series; many series that rise in the same month, or come back to where they began,
    can.

    Returns:
        Share of last year by series, 0 where it is none.
    """
    last_year = forecasts.pop("last_year")
    seen_twice = (panel.lengths - panel.season) / panel.season
    share = np.minimum(0.95, 0.15 + 1.6 * evidence + 0.6 * seen_twice)
    share = np.where(np.isnan(last_year).any(axis=1), 0.0, share)
    for index in np.flatnonzero(share):
        for name in ("theta", "smoothing"):
            forecasts[name][index] = (1 - share[index]) * forecasts[name][index] + share[index] * last_year[index]
    return share
