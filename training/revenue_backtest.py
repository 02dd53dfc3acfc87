"""Revenue forecasts as they would have been made at earlier moments, beside what was booked then."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from forecast.errors import TooLittleHistoryError
from forecast.estimators.revenue import RevenueModel, usual_model
from forecast.metrics import Floats
from forecast.revenue.blending import draw_sales, totals
from forecast.revenue.cells import PERSON
from forecast.revenue.growth import MONTH_DAYS
from forecast.revenue.records import Months, Sales, SalesRecords, days_since, read_sales
from forecast.revenue.views import Views, both_views
from forecast.revenue.yardsticks import booked_in, seasonal_naive, weighted_pipeline

DRAWS = 300
# Origins come at all places of the month, and overlap in what they forecast.
STEP_DAYS_MIN, STEP_DAYS_MAX = 7.0, 25.0
# Steps near a half or a third of a month leave parts of it out: shorter ones are taken, down to so much, that leave no gap
# of more than so often that between even places.
STEP_SHORTER, GAP_EVEN = 0.8, 2.8
BEFORE_DAYS_MIN, BEFORE_SHARE = 60.0, 0.35


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Both views from an earlier moment, and what came; persons in the order of the views' units.

    Attributes:
        parts, series: as `blend_factors` takes them, persons × months.
        won: booked in the first month already, one a person.
        drawn: sales of drawn futures at the level of the parts, persons × months × futures.
        actual: booked in each month, persons × months; nan for months that were not over.
        company: booked by the whole company, persons that came later included.
        naive, weighted: the yardsticks.
        usual: weights and spreads of such a company.
    """

    as_of: datetime
    months: Months
    parts: Floats
    series: Floats | None
    won: Floats
    drawn: Floats
    actual: Floats
    company: Floats
    naive: Floats
    weighted: Floats
    usual: RevenueModel

    def known_at(self, moment: datetime) -> Floats:
        """Tell of each month whether it was over at a moment."""
        return np.asarray(self.months.ends_days <= (moment - self.as_of) / timedelta(days=1))


def origins_before(
    records: SalesRecords,
    until: datetime,
    *,
    currency: str | None,
    count: int,
    horizon: int,
    seed: int,
    step: Callable[[str], None],
) -> list[Origin]:
    """Forecast from so many moments before `until`, each on what was known then; newest first.

    Fewer where history is short: what comes before the earliest is needed to learn from.
    """
    now = read_sales(records, until, currency=currency)
    moments = trial_moments(now, count)
    found = []
    for number, moment in enumerate(moments, start=1):
        step(f"forecasting as of {moment:%Y-%m-%d} ({number} of {len(moments)})")
        try:
            sales = read_sales(records, moment, currency=currency)
        except TooLittleHistoryError:
            break
        if sales.booked.is_empty():
            break
        found.append(_origin(sales, now, horizon=horizon, seed=seed))
    return found


def trial_moments(sales: Sales, count: int) -> list[datetime]:
    """List so many moments before that of sales, newest first, at all places of the month; fewer of a short history."""
    known = pl.concat([sales.booked["booked_at"], sales.deals["created_at"]])
    span = float(days_since(known, sales.as_of).max()) if len(known) else 0.0
    usable = span - max(BEFORE_DAYS_MIN, BEFORE_SHARE * span)
    days = _step_days(float(np.clip(usable / count, STEP_DAYS_MIN, STEP_DAYS_MAX)), count)
    count = min(count, int(usable / days + 1e-9))
    return [sales.as_of - timedelta(days=days * turn) for turn in range(1, count + 1)]


def _step_days(days: float, count: int) -> float:
    """Give the longest step up to so many days by which moments come to all places of the month; half a month comes to two."""
    steps, gap_max = days * np.linspace(1, STEP_SHORTER, 8), GAP_EVEN / count
    return float(next((step for step in steps if _gap(step, count) <= gap_max), days))


def _gap(step: float, count: int) -> float:
    """Give the largest share of a month without any of so many moments, one each step."""
    places = np.sort(np.arange(count) * step / MONTH_DAYS % 1)
    return float(np.diff(places, append=places[0] + 1).max())


def _origin(sales: Sales, now: Sales, *, horizon: int, seed: int) -> Origin:
    views = both_views(sales, horizon=horizon, seed=seed)
    ones = np.ones_like(views.parts)
    drawn = totals(views, draw_sales(views, ones, count=DRAWS, seed=seed), PERSON, count=DRAWS)
    drawn[:, 0] -= views.won[PERSON][:, None]
    over = views.months.ends_days <= (now.as_of - sales.as_of) / timedelta(days=1)
    return Origin(
        as_of=sales.as_of,
        months=views.months,
        parts=views.parts,
        series=views.series,
        won=views.won[PERSON],
        drawn=drawn,
        actual=np.where(over, _booked_by_person(now, views), np.nan),
        company=np.where(over, booked_in(now, views.months), np.nan),
        naive=seasonal_naive(sales, views.months),
        weighted=weighted_pipeline(sales, views.months),
        usual=usual_model(sales.announced_share),
    )


def _booked_by_person(now: Sales, views: Views) -> Floats:
    persons = views.units.ids[PERSON]
    of_person = [replace(now, booked=now.booked.filter(pl.col(PERSON) == person)) for person in persons]
    found = [booked_in(sales, views.months) for sales in of_person]
    return np.array(found).reshape(len(persons), len(views.months.starts))
