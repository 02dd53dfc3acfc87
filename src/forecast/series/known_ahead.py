"""Effects of what is known ahead, such as promotions, prices or working days: multiples, taken out and put back."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np

from forecast.series.hierarchy import Hierarchy
from forecast.series.inputs import Inputs
from forecast.series.outlook import SHARES, Outlook
from forecast.series.panel import Floats, Panel, may_be_negative
from forecast.series.seasonality import Profile, profiles, trend

# A series' own effect counts as much as all series' once it has seen so many periods.
PRIOR_PERIODS = 24
# Effects learnt from so much of history are tried on what follows it, up to the next of these.
LEARN_SHARES = (0.4, 0.6, 0.8, 1.0)
# Effects that do not reduce errors in the later part of history by this share are chance.
GAIN_MIN = 0.02
# A margin of so many standard errors takes as many times these periods to measure.
PERIODS_MIN = 6
EFFECT_MAX = 2.0


def effects(panel: Panel, inputs: Inputs, *, margin: float = 0.0) -> Floats | None:
    """Estimate series × inputs effects on the logarithm of revenue; None where they explain nothing that comes later.

    Args:
        margin: standard errors, over periods, by which the errors of later periods must shrink.
    """
    found = profiles(panel)
    rests = [_rest(panel, index, profile, inputs) for index, profile in enumerate(found)]
    before, after = np.zeros(0), np.zeros(0)
    for start, stop in pairwise(LEARN_SHARES):
        learnt = _by_series([(_part(rest, 0, start), _part(x, 0, start)) for rest, x in rests])
        late = [(_part(rest, start, stop), _part(x, start, stop)) for rest, x in rests]
        ends = [int(end) - length + int(stop * length) for end, length in zip(panel.ends, panel.lengths, strict=True)]
        before = np.concatenate([before, _by_period([rest**2 for rest, _ in late], ends)])
        missed = [(rest - x @ own) ** 2 for (rest, x), own in zip(late, learnt, strict=True)]
        after = np.concatenate([after, _by_period(missed, ends)])
    gain = before - after
    # About zero, not about the mean: what matters in few periods, such as a holiday, would count as noise of its own.
    noise = margin * math.sqrt(float((gain**2).sum()))
    useful = before.sum() > 0 and gain.sum() > max(GAIN_MIN * before.sum(), noise) and len(gain) > margin * PERIODS_MIN
    return _by_series(rests) if useful else None


def _part(values: Floats, start: float, stop: float) -> Floats:
    return values[int(start * len(values)) : int(stop * len(values))]


def _by_period(parts: list[Floats], ends: list[int]) -> Floats:
    """Add up parts of series, by period: what happens to all of them at once is one happening."""
    first = min(end - len(values) for end, values in zip(ends, parts, strict=True))
    total = np.zeros(max(ends) - first)
    for end, values in zip(ends, parts, strict=True):
        total[end - first - len(values) : end - first] += values
    return total


def _rest(panel: Panel, index: int, profile: Profile, inputs: Inputs) -> tuple[Floats, Floats]:
    """Give what trend and season leave of a series' logarithm, and of its inputs."""
    values, places = panel.history[index], panel.positions(index)
    x = inputs.past[index] - np.apply_along_axis(trend, 0, inputs.past[index], panel.season)
    if may_be_negative(values) or values.max() <= 0:
        return np.zeros(len(values)), np.zeros_like(x)
    level = np.log(values + 0.05 * values.mean())
    rest = level - trend(level, panel.season)
    counts = np.maximum(np.bincount(places, minlength=panel.season), 1)
    for column in (rest[:, None], x):
        for place in range(column.shape[1]):
            usual = np.bincount(places, column[:, place], minlength=panel.season) / counts
            column[:, place] -= profile.strength * usual[places]
    bound = 5 * np.median(np.abs(rest)) + 0.1
    return np.clip(rest, -bound, bound), x


def _by_series(rests: list[tuple[Floats, Floats]]) -> Floats:
    """Fit effects of all series together, and lean each series' own on them."""
    count = rests[0][1].shape[1]
    periods = max(1, sum(len(rest) for rest, _ in rests))
    gram = sum((x.T @ x for _, x in rests), np.zeros((count, count)))
    moment = sum((x.T @ rest for rest, x in rests), np.zeros(count))
    usual = gram / periods + 1e-9 * np.eye(count) * max(float(np.trace(gram)) / periods, 1e-9)
    shared = np.linalg.solve(usual * periods + usual, moment)
    own = [
        np.linalg.solve(x.T @ x + PRIOR_PERIODS * usual, x.T @ rest + PRIOR_PERIODS * usual @ shared)
        for rest, x in rests
    ]
    return np.array(own)


def without_effects(panel: Panel, inputs: Inputs, effect: Floats) -> tuple[Panel, Floats]:
    """Take effects out of history; gives the panel and series × horizon factors to multiply forecasts by."""
    history, factors = [], np.ones(inputs.future.shape[:2])
    for index, values in enumerate(panel.history):
        if may_be_negative(values):
            history.append(values)
            continue
        usual = inputs.past[index].mean(axis=0)
        history.append(values / _factor((inputs.past[index] - usual) @ effect[index]))
        factors[index] = _factor((inputs.future[index] - usual) @ effect[index])
    return replace(panel, history=tuple(history)), factors


def _factor(effect: Floats) -> Floats:
    factor: Floats = np.exp(np.clip(effect, -EFFECT_MAX, EFFECT_MAX))
    return factor


def with_effects(outlook: Outlook, factors: Floats, hierarchy: Hierarchy | None) -> Outlook:
    """Multiply an outlook by the effects of what is known ahead, from the series upwards."""
    if hierarchy is None or outlook.draws is None:
        draws = None if outlook.draws is None else outlook.draws * factors[:, :, None]
        return replace(outlook, mean=outlook.mean * factors, bounds=outlook.bounds * factors[:, :, None], draws=draws)
    count = hierarchy.series_count
    draws = np.tensordot(hierarchy.parts, outlook.draws[-count:] * factors[:, :, None], axes=1)
    return replace(
        outlook,
        mean=hierarchy.parts @ (outlook.mean[-count:] * factors),
        bounds=np.moveaxis(np.quantile(draws, SHARES, axis=2), 0, 2),
        draws=draws,
    )
