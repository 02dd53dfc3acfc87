"""Add periods up to longer ones, in the mean and in every draw: months to quarters and years, days to months."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from forecast.errors import InputError
from forecast.series.outlook import SHARES, Outlook
from forecast.series.panel import Floats

MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Days of a year: no longer period reaches further back.
REACH = 366


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Nodes and periods under one another: the index of the node, the day of the period, and what is expected.

    Attributes:
        draws: rows × count; None where none were drawn.
    """

    nodes: list[int]
    days: list[date]
    mean: Floats
    bounds: Floats
    draws: Floats | None


def own_periods(outlook: Outlook) -> Rows:
    """Give an outlook's own periods."""
    count, horizon = outlook.mean.shape
    panel, draws = outlook.panel, outlook.draws
    return Rows(
        nodes=[node for node in range(count) for _ in range(horizon)],
        days=[panel.calendar.day(int(end) + step) for end in panel.ends for step in range(1, horizon + 1)],
        mean=outlook.mean.ravel(),
        bounds=outlook.bounds.reshape(-1, outlook.bounds.shape[2]),
        draws=None if draws is None else draws.reshape(-1, draws.shape[2]),
    )


def longer_periods(outlook: Outlook, unit: str) -> Rows:
    """Add draws up by calendar month, quarter or year; the part of one that is history counts as it was.

    One that the outlook does not reach the end of is left out.

    Raises:
        InputError: the outlook's periods make up no such unit, or none is whole; or nothing was drawn.
    """
    _check(outlook, unit)
    assert outlook.draws is not None, "ask for draws with draws_count"  # noqa: S101
    nodes, days, means, draws = [], [], [], []
    for node in range(len(outlook.panel.ids)):
        for day, steps, so_far in _whole(outlook, node, unit):
            nodes.append(node)
            days.append(day)
            means.append(so_far + outlook.mean[node, steps].sum())
            draws.append(so_far + outlook.draws[node, steps].sum(axis=0))
    if not nodes:
        raise InputError(
            f"{outlook.mean.shape[1]} periods ahead hold no whole {unit}; give a longer --horizon or no --periods {unit}"
        )
    drawn = np.array(draws)
    return Rows(nodes=nodes, days=days, mean=np.array(means), bounds=np.quantile(drawn, SHARES, axis=1).T, draws=drawn)


def _check(outlook: Outlook, unit: str) -> None:
    calendar = outlook.panel.calendar
    own = calendar.step if calendar.unit == "month" else 0
    if unit not in MONTHS:
        raise InputError(f'--periods "{unit}" is no longer period; choose of {", ".join(MONTHS)}')
    if calendar.unit == "week" or (own and (MONTHS[unit] <= own or MONTHS[unit] % own)):
        raise InputError(f"{calendar.name} periods do not make up a {unit}; leave it out of --periods")


def _whole(outlook: Outlook, node: int, unit: str) -> list[tuple[date, slice, float]]:
    """Give each longer period that ends within the outlook: its day, the steps in it, and what history holds of it."""
    calendar, end, horizon = outlook.panel.calendar, int(outlook.panel.ends[node]), outlook.mean.shape[1]
    values = outlook.panel.history[node]
    reach = min(len(values), REACH if calendar.unit != "month" else MONTHS["year"])
    keys = [_key(calendar.span(end + step)[1], unit) for step in range(1 - reach, horizon + 2)]
    past = len(keys) - horizon - 1
    found = []
    for key in sorted(set(keys[past:-1]) - {keys[-1]}):
        steps = [place - past for place in range(past, len(keys) - 1) if keys[place] == key]
        before = sum(1 for place in range(past) if keys[place] == key)
        so_far = float(values[len(values) - before :].sum()) if before else 0.0
        first, last = end + 1 + steps[0] - before, end + 1 + steps[-1]
        day = calendar.day(last) if calendar.stamp == "last" else _first_day(calendar.day(first), unit)
        found.append((day, slice(steps[0], steps[-1] + 1), so_far))
    return found


def _key(day: date, unit: str) -> int:
    return (day.year * 12 + day.month - 1) // MONTHS[unit]


def _first_day(day: date, unit: str) -> date:
    return date(day.year, (day.month - 1) // MONTHS[unit] * MONTHS[unit] + 1, 1)
