"""What posted opportunities are scored against: stored closings, accounts, people, products and stages."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl
from sqlalchemy.orm import Session

from forecast.history import read_history
from forecast.snapshot import History, closings_as_closed

_LOOKED_UP = {"owner_id": "people", "account_id": "accounts", "product_id": "products", "stage": "stages"}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The stored surroundings as they were at `read_at`.

    Attributes:
        history: without opportunities of its own; `earlier` holds all closings.
        seen: values that occur in stored records, for `owner_id`, `account_id`, `product_id` and `stage`.
        read_at: when they were read.
    """

    history: History
    seen: Mapping[str, frozenset[str]]
    read_at: datetime


def read_surroundings(session: Session, read_at: datetime) -> Surroundings:
    """Read the surroundings from the database."""
    history = read_history(session)
    empty = replace(
        history,
        opportunities=history.opportunities.clear(),
        closings=history.closings.clear(),
        changes=history.changes.clear(),
        activities=history.activities.clear(),
        earlier=closings_as_closed(history),
    )
    return Surroundings(history=empty, seen={name: _seen(history, name) for name in _LOOKED_UP}, read_at=read_at)


def _seen(history: History, name: str) -> frozenset[str]:
    listed: pl.DataFrame = getattr(history, _LOOKED_UP[name])
    values = pl.concat([history.opportunities[name], listed[name].rename(name)]).drop_nulls().unique()
    return frozenset(values)


class SurroundingsCache:
    """Keeps surroundings for `age_max`; one request at a time reads them anew while others use the old ones."""

    def __init__(self, clock: Callable[[], datetime], age_max: timedelta = timedelta(seconds=60)) -> None:
        self._clock = clock
        self._age_max = age_max
        self._lock = threading.Lock()
        self._held: Surroundings | None = None

    def get(self, session: Session) -> Surroundings:
        """Give surroundings that are fresh, or being read anew by another request."""
        held = self._held
        if held is not None and (self._is_fresh(held) or not self._lock.acquire(blocking=False)):
            return held
        if held is None:
            self._lock.acquire()
        try:
            return self._read_unless_fresh(session)
        finally:
            self._lock.release()

    def _is_fresh(self, held: Surroundings) -> bool:
        return self._clock() - held.read_at <= self._age_max

    def _read_unless_fresh(self, session: Session) -> Surroundings:
        if self._held is None or not self._is_fresh(self._held):
            self._held = read_surroundings(session, self._clock())
        return self._held
