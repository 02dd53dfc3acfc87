"""Targets as something known ahead: what people set for a period tells of it, so far as it was set before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from forecast.revenue.cells import COMPANY, NO_UNIT, PERSON, TEAM
from forecast.series.inputs import Inputs
from forecast.series.panel import Panel
from forecast.snapshot.changes import CHANGE_TYPES, as_known

REVENUE_METRICS = frozenset({"revenue", "bookings", "booked revenue", "sales", "amount", "销售额", "收入", "业绩"})
TARGET = "targets"
TARGET_TYPES = pl.Schema(
    {
        "target_id": pl.String(),
        "level": pl.String(),
        "unit_id": pl.String(),
        "starts_on": pl.Date(),
        "ends_on": pl.Date(),
        "amount": pl.Float64(),
        "currency": pl.String(),
        "known_at": pl.Datetime("us", "UTC"),
    }
)
NO_TARGETS = pl.DataFrame(schema=TARGET_TYPES)
NO_CHANGES = pl.DataFrame(schema=CHANGE_TYPES)
# A target that is set later than this after its first day may know what came.
GRACE = timedelta(days=7)
# Targets of a level count if so many of those who sell have one.
HOLDERS_MIN = 0.5


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """The amount of neighbouring months, the first of them, and what comes to each."""

    amount: float
    start: date
    a_month: float


_NOTHING: Mapping[date, _Planned] = MappingProxyType({})


def known_targets(targets: pl.DataFrame, changes: pl.DataFrame, as_of: datetime, timezone: str) -> pl.DataFrame:
    """Give the targets that were recorded before a moment and when their period began, at the amounts of that time.

    One that names no last day lasts until the next begins that its unit had by then, and the last of them as many months, else days,
    as the one before; one alone has no period, and is none.

    Args:
        targets: as TARGET_TYPES, without a last day where the record names none.
        changes: of targets, as CHANGE_TYPES.
        as_of: that moment, exclusive.
        timezone: of the days.
    """
    zone = ZoneInfo(timezone)
    begun = [datetime(day.year, day.month, day.day, tzinfo=zone) + GRACE for day in targets["starts_on"]]
    looked = pl.Series("as_of", [min(as_of, moment) for moment in begun], dtype=TARGET_TYPES["known_at"])
    asked = targets.select(pl.int_range(pl.len()).alias("row"), looked, "target_id")
    amounts = targets.select("target_id", "amount")
    stood = as_known(asked, amounts, changes, "target_id")["amount"].cast(pl.Float64)
    known = targets.with_columns(stood.alias("amount")).filter(pl.col("known_at") < looked, stood > 0)
    return known.with_columns(_last_days(known)).filter(pl.col("starts_on") <= pl.col("ends_on"))


def _last_days(known: pl.DataFrame) -> pl.Series:
    """Give the last day of each target, of those that name none by the unit's others."""
    start = pl.col("starts_on")
    following, before = (start.shift(by).over("level", "unit_id", order_by=start) for by in (-1, 1))
    until_next = pl.when(following > start).then(following.dt.offset_by("-1d"))
    months = (start.dt.year() - before.dt.year()) * 12 + start.dt.month().cast(pl.Int32) - before.dt.month()
    as_many = pl.when(start.dt.day() == before.dt.day()).then(start.dt.offset_by(pl.format("{}mo", months)))
    as_before = pl.when(before < start).then(as_many.fill_null(start + (start - before)).dt.offset_by("-1d"))
    return known.select(pl.coalesce("ends_on", until_next, as_before)).to_series()


def planned_inputs(targets: pl.DataFrame, panel: Panel, horizon: int, team_of: Mapping[str, str]) -> Inputs | None:
    """Lay targets out beside persons' series: each person's own, else those of the team or of the company.

    What a person sells is a usual ratio of any of these. None where no level's targets are known of most of the months.

    Args:
        targets: as `known_targets`.
        panel: a series a person, by month.
        horizon: months ahead.
        team_of: of each person.
    """
    for level in (PERSON, TEAM, COMPANY):
        months = _by_unit(targets.filter(pl.col("level") == level))
        units = [{PERSON: name, TEAM: team_of.get(name, NO_UNIT[TEAM]), COMPANY: ""}[level] for name in panel.ids]
        found = _laid_out([months.get(unit, _NOTHING) for unit in units], panel, horizon)
        told = np.mean([np.isfinite(past).any() for past in found.past])
        if told >= HOLDERS_MIN and np.isfinite(found.future).any():
            return found
    return None


def _by_unit(targets: pl.DataFrame) -> dict[str, dict[date, _Planned]]:
    """Give what each unit's targets say of each month: the shortest one, and of longer ones what the shorter leave of them."""
    shortest_first = targets.sort(pl.col("ends_on") - pl.col("starts_on"), "target_id", descending=[False, True])
    found: dict[str, dict[date, _Planned]] = {}
    for row in shortest_first.iter_rows(named=True):
        start = row["starts_on"].replace(day=1)
        months = pl.date_range(start, row["ends_on"], "1mo", eager=True).to_list()
        _share_out(row["amount"], months, found.setdefault(row["unit_id"], {}))
    return found


def _share_out(amount: float, months: list[date], known: dict[date, _Planned]) -> None:
    """Let months that have no target share what those of the others leave of an amount, each stretch of them as one."""
    taken = known.keys() & set(months)
    left, free = amount - sum(known[month].a_month for month in taken), len(months) - len(taken)
    if left <= 0:
        return
    for has_own, stretch in groupby(months, taken.__contains__):
        own = list(stretch)
        if not has_own:
            known.update(dict.fromkeys(own, _Planned(amount=left * len(own) / free, start=own[0], a_month=left / free)))


def _laid_out(months: list[Mapping[date, _Planned]], panel: Panel, horizon: int) -> Inputs:
    past, future, blocks = [], [], []
    for index, of_unit in enumerate(months):
        end, length = int(panel.ends[index]), len(panel.history[index])
        days = [panel.calendar.span(place)[0] for place in range(end - length + 1, end + horizon + 1)]
        known = [of_unit.get(day, _Planned(amount=np.nan, start=day, a_month=np.nan)) for day in days]
        amounts = np.array([planned.amount for planned in known])[:, None]
        past.append(amounts[:length])
        future.append(amounts[length:])
        blocks.append(panel.calendar.ordinals(np.array([planned.start for planned in known], dtype="datetime64[D]")))
    return Inputs(names=(TARGET,), past=tuple(past), future=np.stack(future), blocks=tuple(blocks))
