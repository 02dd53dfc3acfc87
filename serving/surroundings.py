"""What posted opportunities are scored against: stored closings, accounts, people, products and stages."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl
from sqlalchemy.orm import Session

from forecast.history import read_history
from forecast.population import OPPORTUNITIES, Kind, Population
from forecast.snapshot import History, closings_as_closed, stays_of_history

_LOOKED_UP: Mapping[Kind, Mapping[str, str]] = {
    "opportunity": {"owner_id": "people", "account_id": "accounts", "product_id": "products", "stage": "stages"},
    "lead": {"owner_id": "people"},
}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The stored surroundings as they were at `read_at`.

    Attributes:
        history: without opportunities of its own; `earlier` holds all closings, `stays` those of won
            opportunities in stages.
        seen: values that occur in stored records, for `owner_id`, and of opportunities `account_id`, `product_id`, `stage`.
        read_at: when they were read.
    """

    history: History
    seen: Mapping[str, frozenset[str]]
    read_at: datetime


def read_surroundings(session: Session, population: Population, read_at: datetime) -> Surroundings:
    """Read the surroundings of a population from the database."""
    history = read_history(session, population=population)
    empty = replace(
        history,
        opportunities=history.opportunities.clear(),
        closings=history.closings.clear(),
        changes=history.changes.clear(),
        activities=history.activities.clear(),
        quotes=history.quotes.clear(),
        departures=None,
        earlier=closings_as_closed(history),
        stays=stays_of_history(history).collect(),
    )
    seen = {name: _seen(history, name, frame) for name, frame in _LOOKED_UP[population.kind].items()}
    return Surroundings(history=empty, seen=seen, read_at=read_at)


def _seen(history: History, name: str, frame: str) -> frozenset[str]:
    listed: pl.DataFrame = getattr(history, frame)
    values = pl.concat([history.opportunities[name], listed[name].rename(name)]).drop_nulls().unique()
    return frozenset(values)


class SurroundingsCache:
    """Keeps surroundings for `age_max`; one request at a time reads them anew while others use the old ones."""

    def __init__(self, clock: Callable[[], datetime], age_max: timedelta = timedelta(seconds=60)) -> None:
        self._clock = clock
        self._age_max = age_max
        self._lock = threading.Lock()
        self._held: dict[Population, Surroundings] = {}

    def get(self, session: Session, population: Population = OPPORTUNITIES) -> Surroundings:
        """Give a population's surroundings that are fresh, or being read anew by another request."""
        held = self._held.get(population)
        if held is not None and (self._is_fresh(held) or not self._lock.acquire(blocking=False)):
            return held
        if held is None:
            self._lock.acquire()
        try:
            return self._read_unless_fresh(session, population)
        finally:
            self._lock.release()

    def _is_fresh(self, held: Surroundings) -> bool:
        return self._clock() - held.read_at <= self._age_max

    def _read_unless_fresh(self, session: Session, population: Population) -> Surroundings:
        held = self._held.get(population)
        if held is None or not self._is_fresh(held):
            held = self._held[population] = read_surroundings(session, population, self._clock())
        return held
