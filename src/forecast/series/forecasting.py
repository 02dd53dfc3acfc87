"""From series to their outlook: what is known ahead is taken out, forecast without, put back, and what was done is said."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forecast.series.calendar_effects import calendar_inputs
from forecast.series.hierarchy import Hierarchy, span_hierarchy, sum_panel
from forecast.series.inputs import Inputs, read_inputs
from forecast.series.known_ahead import effects, with_effects, without_effects
from forecast.series.outlook import Outlook, outlook_of_hierarchy, outlook_of_series
from forecast.series.panel import Floats, Panel
from forecast.series.ratios import names_of_amounts
from forecast.series.reading import SeriesFile

# What is given ought to matter, and is believed sooner than what the calendar offers by itself.
GIVEN_MARGIN, CALENDAR_MARGIN = 0.0, 1.5
_EFFECT_SHOWN = 0.0005  # less reads as 0.0 %


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """An outlook, the hierarchy it adds up by, and what was done, in sentences."""

    outlook: Outlook
    hierarchy: Hierarchy | None
    remarks: tuple[str, ...]


def forecast_series(
    found: SeriesFile,
    levels: list[str],
    horizon: int,
    *,
    source: Path | None = None,
    future: Path | None = None,
    country: str | None = None,
    draws_count: int = 0,
) -> Forecast:
    """Forecast what a file holds, with totals where there are levels.

    Args:
        source: the file of the series, where it may hold the past of what is known ahead.
        future: a file of what is known ahead.
        country: two letters, whose public holidays count.
        draws_count: futures to draw where there are no levels; with levels they are drawn in any case.
    """
    hierarchy = span_hierarchy(found.series, levels, found.totals) if levels else None
    given = None if future is None else read_inputs(future, found.panel, horizon, history=source)
    plans = [] if given is None else _plans(given, found.panel)
    calendar = [(inputs, CALENDAR_MARGIN) for inputs in calendar_inputs(found.panel, horizon, country=country)]
    forecasts = []
    for plan in plans or [_Plan()]:
        known = [] if plan.effects is None else [(plan.effects, GIVEN_MARGIN)]
        forecasts.append(
            _planned(found, hierarchy, horizon, [*known, *calendar], plan.amounts, draws_count=draws_count)
        )
    # The first where errors can't be compared.
    best = min(forecasts, key=lambda forecast: np.nan_to_num(forecast.outlook.error, nan=0.0))
    return best if given is None else replace(best, remarks=(*_unknown(given, found.panel), *best.remarks))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How inputs are used: by their effects, or as amounts that revenue is a ratio of."""

    effects: Inputs | None = None
    amounts: Inputs | None = None


def _plans(given: Inputs, panel: Panel) -> list[_Plan]:
    """Give the ways to use inputs that are compared: what may be an amount as such, and all by effects that hold."""
    amounts = names_of_amounts(given)
    others = [name for name in given.names if name not in amounts]
    plans = []
    if amounts:
        plans.append(_Plan(effects=given.named(others) if others else None, amounts=given.named(amounts)))
    if given.are_whole and (not amounts or effects(panel, given, margin=GIVEN_MARGIN) is not None):
        plans.append(_Plan(effects=given))
    return plans


def _planned(
    found: SeriesFile,
    hierarchy: Hierarchy | None,
    horizon: int,
    candidates: list[tuple[Inputs, float]],
    amounts: Inputs | None,
    *,
    draws_count: int,
) -> Forecast:
    panel, factors, remarks = _cleaned(found.panel, candidates, horizon)
    so_far = None
    if found.partial is not None:
        so_far = np.array([found.partial[1].get(name, np.nan) for name in panel.ids]) / factors[:, 0]
    if hierarchy is None:
        outlook = outlook_of_series(panel, horizon, so_far=so_far, amounts=amounts, draws_count=draws_count)
    else:
        outlook = outlook_of_hierarchy(panel, hierarchy, horizon, so_far=so_far, amounts=amounts)
    if (factors != 1).any():
        outlook = with_effects(outlook, factors, hierarchy)
        outlook = replace(outlook, panel=found.panel if hierarchy is None else sum_panel(found.panel, hierarchy))
    told = [_told(name, share) for name, share in outlook.shares.items()]
    return Forecast(outlook=outlook, hierarchy=hierarchy, remarks=(*remarks, *told))


def _told(name: str, share: float) -> str:
    if share:
        return f"known ahead: {name} × the usual ratio of revenue to it makes up {100 * share:.0f} % of the forecast"
    return f"{name} × the usual ratio of revenue to it lowered no error of earlier origins"


def _unknown(given: Inputs, panel: Panel) -> list[str]:
    """Say of how many series an input is not known ahead."""
    lacking = np.asarray(np.isnan(given.future).all(axis=1))
    return [
        f"{name} is not known ahead of {int(lacks.sum())} of {len(panel.ids)} series, "
        f'"{panel.ids[int(lacks.argmax())]}" first: they are forecast without it'
        for name, lacks in zip(given.names, lacking.T, strict=True)
        if lacks.any()
    ]


def _cleaned(panel: Panel, candidates: list[tuple[Inputs, float]], horizon: int) -> tuple[Panel, Floats, list[str]]:
    """Take out what explains later history; gives series × horizon factors to multiply forecasts by, and remarks."""
    factors, remarks = np.ones((len(panel.ids), horizon)), []
    for inputs, margin in candidates:
        effect = effects(panel, inputs, margin=margin)
        if effect is not None:
            panel, more = without_effects(panel, inputs, effect)
            factors *= more
            remarks.append(_found(inputs.names, effect.mean(axis=0).tolist()))
        elif margin == GIVEN_MARGIN:
            remarks.append(f"{', '.join(inputs.names)} explained nothing of later revenue, and is not used")
    return panel, factors, remarks


def _told_effect(name: str, effect: float) -> str:
    """Say by how much a unit of an input multiplies revenue; of an amount, such as a quota, so many units that it shows."""
    units = 1 if abs(effect) >= _EFFECT_SHOWN or not effect else 10 ** math.ceil(-2 - math.log10(abs(effect)))
    return f"{name} {100 * (math.exp(effect * units) - 1):+.1f} % " + ("a unit" if units == 1 else f"per {units:,}")


def _found(names: tuple[str, ...], effects: list[float]) -> str:
    each = ", ".join(_told_effect(name, effect) for name, effect in zip(names, effects, strict=True))
    return f"known ahead, on average: {each}"
