"""A proposal: a company's target for a year, divided into teams, persons and months or quarters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.errors import InputError, TooLittleHistoryError
from forecast.metrics import Floats
from forecast.revenue.cells import COMPANY, NO_UNIT, PERSON, TEAM
from forecast.revenue.questions import MONTHS_IN, Period
from forecast.runs.booked import unit_of
from forecast.targets.spreading import MONTHS_A_YEAR, Decided, credible_rates, in_cents, keep_decided, month_shares

HISTORY_MONTHS = 36
RATE_MONTHS = 24
LARGEST_TARGET = 1e15
PART_TYPES = pl.Schema(
    {
        "level": pl.String(),
        "unit_id": pl.String(),
        "unit_name": pl.String(),
        "starts_on": pl.Date(),
        "ends_on": pl.Date(),
        "amount": pl.Float64(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An amount that a unit is to have, for a month or quarter, or for the whole year where `starts_on` is missing."""

    level: str
    unit_id: str
    starts_on: date | None
    amount: float


@dataclass(frozen=True, kw_only=True)
class Sellers:
    """Who is to share a target, and what they did.

    Attributes:
        people: `owner_id, name, team_id, team_name`, one row a person.
        bookings: as `runs.booked.BOOKING_TYPES`, of everybody, before `today`.
        cells: of the newest kept forecast, of persons; empty where none is kept.
        today: months before its own are over.
    """

    people: pl.DataFrame
    bookings: pl.DataFrame
    cells: pl.DataFrame
    today: date


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A divided target.

    Attributes:
        parts: as PART_TYPES, for the company, each team and each person, a row a period; parts add up to their wholes to the cent.
        shares: `owner_id, team_id, booked_last_year, expected, share`: what each person booked in the twelve months before the present one,
            is expected to book in the year, and gets of the target before decisions by hand.
        remarks: what was missing or assumed, in sentences.
    """

    total: float
    year: int
    period: Period
    parts: pl.DataFrame
    shares: pl.DataFrame
    remarks: tuple[str, ...]

    def booked_last_year(self, level: str, unit_id: str) -> float:
        """Give what a unit's sellers booked in the twelve months before the present one."""
        own = self.shares.filter(unit_of(level) == unit_id)
        return float(own["booked_last_year"].sum())


def propose(total: float, year: int, sellers: Sellers, *, period: Period, edits: Sequence[Edit] = ()) -> Proposal:
    """Divide a company's target by seasonal shares and by what each person can be expected to book.

    Raises:
        InputError: the target is not positive or too large, there is nobody to share it, or decisions contradict one another.
        TooLittleHistoryError: nothing was booked yet.
    """
    total = round(total, 2)
    if not 0 < total <= LARGEST_TARGET:
        raise InputError(f"the target is {total:,.2f}; give an amount above 0 and up to {LARGEST_TARGET:,.0f}")
    people = sellers.people.sort("owner_id")
    if people.is_empty():
        raise InputError(
            "nobody sells: no active person booked revenue or owns an open opportunity; import people and sales"
        )
    if sellers.bookings.is_empty():
        raise TooLittleHistoryError(
            "nothing was booked yet, so that nothing says how to divide a target; import sales first"
        )
    season = month_shares(_years(sellers))
    expected = _expected(people, sellers, year, season)
    share = expected / expected.sum() if expected.sum() > 0 else np.full(len(expected), 1 / len(expected))
    by_period = season.reshape(-1, MONTHS_IN[period]).sum(axis=1)
    starts = [date(year, 1 + place * MONTHS_IN[period], 1) for place in range(len(by_period))]
    decided = [_decided(edit, people, starts) for edit in edits]
    amounts = keep_decided(total * np.outer(share, by_period), decided)
    cents = in_cents(amounts, total, _groups(decided, amounts.shape))
    return Proposal(
        total=total,
        year=year,
        period=period,
        parts=_parts(people, starts, cents, period),
        shares=people.select("owner_id", "team_id").with_columns(
            pl.Series("booked_last_year", _booked_by(people, sellers).sum(axis=1)),
            pl.Series("expected", expected),
            pl.Series("share", share),
        ),
        remarks=tuple(_remarks(people, sellers, year)),
    )


def _window(sellers: Sellers, months: int) -> list[date]:
    """List so many months before the present one, oldest first."""
    last = pl.lit(sellers.today.replace(day=1))
    return pl.select(
        pl.date_range(last.dt.offset_by(f"-{months}mo"), last.dt.offset_by("-1mo"), interval="1mo")
    ).to_series().to_list()  # fmt: skip


def _years(sellers: Sellers) -> Floats:
    """Give the company's revenue of the past whole years, years × calendar months."""
    window = _window(sellers, HISTORY_MONTHS)
    sums: Mapping[date, float] = dict(sellers.bookings.group_by("month").agg(pl.col("amount").sum()).iter_rows())
    first = min(sums)
    monthly = np.array([sums.get(month, 0.0) for month in window]).reshape(-1, MONTHS_A_YEAR)
    known = monthly[[window[row * MONTHS_A_YEAR] >= first for row in range(len(monthly))]]
    return np.asarray(np.roll(known, window[0].month - 1, axis=1), dtype=np.float64)


def _booked_by(people: pl.DataFrame, sellers: Sellers, months: int = MONTHS_A_YEAR) -> Floats:
    """Give the revenue of people in past months, people × months."""
    window = _window(sellers, months)
    sums = sellers.bookings.group_by("owner_id", "month").agg(pl.col("amount").sum())
    found = {(owner, month): amount for owner, month, amount in sums.iter_rows()}
    return np.array([[found.get((owner, month), 0.0) for month in window] for owner in people["owner_id"]])


def _expected(people: pl.DataFrame, sellers: Sellers, year: int, season: Floats) -> Floats:
    """Give what each person can be expected to book in the year.

    That is the forecast of the months that it reaches, and a credible rate with the season's shape for the others.
    """
    booked = _booked_by(people, sellers, RATE_MONTHS)
    window = _window(sellers, RATE_MONTHS)
    firsts = dict(sellers.bookings.group_by("owner_id").agg(pl.col("month").min()).iter_rows())
    began = np.array([[month >= firsts.get(owner, date.max) for month in window] for owner in people["owner_id"]])
    company = min(sellers.bookings["month"])
    seen = np.array([month >= company for month in window])
    rates = credible_rates(np.where(began & seen, booked, np.nan))
    usual = np.outer(rates * MONTHS_A_YEAR, season)
    forecast = {
        (owner, month.month): mean
        for owner, month, mean in sellers.cells.select("unit_id", "month", "mean").iter_rows()
        if month.year == year
    }
    for row, owner in enumerate(people["owner_id"]):
        for column in range(MONTHS_A_YEAR):
            usual[row, column] = forecast.get((owner, column + 1), usual[row, column])
    return np.asarray(np.clip(usual.sum(axis=1), 0, None), dtype=np.float64)


def _decided(edit: Edit, people: pl.DataFrame, starts: Sequence[date]) -> Decided:
    columns = {COMPANY: None, TEAM: "team_id", PERSON: "owner_id"}
    if edit.level not in columns:
        raise InputError(f'level "{edit.level}" of a decision is none of {", ".join(columns)}')
    column = columns[edit.level]
    rows = np.full(people.height, fill_value=True) if column is None else (people[column] == edit.unit_id).to_numpy()
    periods = np.array([edit.starts_on in {None, start} for start in starts])
    when = "" if edit.starts_on is None else f" from {edit.starts_on}"
    what = f"{edit.level} {edit.unit_id}".strip() + when
    if not 0 <= edit.amount <= LARGEST_TARGET:
        raise InputError(f"{what} is to have {edit.amount:,.2f}; give an amount from 0 to {LARGEST_TARGET:,.0f}")
    if not rows.any() or not periods.any():
        known = ", ".join(sorted(set(people[column]))) if column else ""
        periods_known = ", ".join(str(start) for start in starts)
        raise InputError(
            f"{what} is no part of the target; units: {known or 'the company'}; periods from: {periods_known}"
        )
    return Decided(parts=np.outer(rows, periods), amount=edit.amount, what=what)


def _groups(decided: Sequence[Decided], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Number the parts by which decisions they are in."""
    if not decided:
        return np.zeros(shape, dtype=np.int64)
    patterns = np.stack([one.parts.ravel() for one in decided], axis=1)
    _, groups = np.unique(patterns, axis=0, return_inverse=True)
    return groups.reshape(shape).astype(np.int64)


def _parts(people: pl.DataFrame, starts: Sequence[date], cents: NDArray[np.int64], period: Period) -> pl.DataFrame:
    cells = people.select(pl.all().repeat_by(len(starts)).explode()).with_columns(
        pl.Series("starts_on", list(starts) * people.height, dtype=pl.Date), pl.Series("cents", cents.ravel())
    )
    names = {COMPANY: pl.lit(None, pl.String), TEAM: pl.col("team_name"), PERSON: pl.col("name")}
    sums = [
        cells.group_by(pl.lit(level).alias("level"), unit_of(level), "starts_on", maintain_order=True).agg(
            name.first().alias("unit_name"), pl.col("cents").sum()
        )
        for level, name in names.items()
    ]
    ends = pl.col("starts_on").dt.offset_by(f"{MONTHS_IN[period]}mo").dt.offset_by("-1d")
    together = pl.concat(sums).with_columns(ends.alias("ends_on"), (pl.col("cents") / 100).alias("amount"))
    return together.select(pl.col(name).cast(kind) for name, kind in PART_TYPES.items())


def _remarks(people: pl.DataFrame, sellers: Sellers, year: int) -> list[str]:
    found = []
    years = len(_years(sellers))
    if years == 0:
        found.append("less than a year is known: the months of a year count as equal")
    reached = sellers.cells.filter(pl.col("month").dt.year() == year)["month"].n_unique()
    if reached == 0:
        found.append("no kept forecast reaches the year: shares follow from the past alone")
    new = set(people["owner_id"]) - set(sellers.bookings["owner_id"])
    if new:
        found.append(
            f"{len(new)} of {people.height} persons booked nothing yet, and get what is usual for all: {', '.join(sorted(new))}"
        )
    if (people["team_id"] == NO_UNIT[TEAM]).any():
        found.append("persons without a team are put together as no team, whose quota is not written")
    return found
