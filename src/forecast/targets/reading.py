"""Read from the database what targets are judged by and proposals are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Person, Team
from forecast.revenue.cells import CELL_TYPES, NO_UNIT, PERSON, TEAM
from forecast.revenue.currencies import of_currency
from forecast.revenue.records import known_currencies
from forecast.revenue_records import OWNERS, read_deal_records
from forecast.runs import Run, find_run, read_cells
from forecast.runs.booked import find_bookings
from forecast.runs.deals import read_deals
from forecast.store import read_frame
from forecast.targets.attainment import Attainment, Ground, attain, overlapping
from forecast.targets.proposal import Proposal, Sellers
from forecast.targets.quotas import Target, read_targets
from forecast.targets.usual import LOOK_BACK_DAYS

COUNTED = ("owner_id", "team_id", "amount")


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Targets of a time and where they stood at a moment; `run` is the forecast they are judged by, if one is kept."""

    as_of: datetime
    run: Run | None
    attainments: tuple[Attainment, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Adviser:
    """What a proposal is made of and judged by."""

    sellers: Sellers
    ground: Ground
    currency: str | None


def read_attainments(
    session: Session,
    starts_on: date,
    ends_on: date,
    *,
    as_of: datetime,
    timezone: str,
    currency: str | None,
    choose: Callable[[Sequence[Target]], Sequence[Target]] = tuple,
) -> Targets:
    """Read the targets that have a day from one day to another, both inclusive, and say where they stood at a moment.

    A quota's own currency counts; one without is in the currency given, else in that of the forecast. Only those that `choose`
    keeps are judged; remarks are of all.

    Raises:
        InputError: amounts are in several currencies, and nothing says which one counts.
    """
    run = find_run(session, until=as_of)
    cells = pl.DataFrame(schema=CELL_TYPES) if run is None else read_cells(session, run.id)
    found = read_targets(session, starts_on, ends_on)
    targets = choose(found)
    since = _first_counted(found, as_of.astimezone(ZoneInfo(timezone)))
    records = read_deal_records(session, timezone=timezone, fields=COUNTED, since=since, levels=OWNERS)
    deals = read_deals(session, records, as_of)
    known = known_currencies(records, as_of)
    usual = currency or (run.currency if run else None)
    grounds = {
        named: Ground(
            today=as_of.astimezone(ZoneInfo(timezone)).date(),
            bookings=find_bookings(records, as_of, currency=named),
            cells=cells if run and run.currency in {named, None} else cells.clear(),
            deals=of_currency(deals, named, known),
        )
        for named in {target.currency or usual for target in targets}
    }
    return Targets(
        as_of=as_of,
        run=run,
        attainments=tuple(attain(target, grounds[target.currency or usual]) for target in targets),
        remarks=(*_remarks(found, run, as_of.astimezone(ZoneInfo(timezone))), *_uncounted(found, known)),
    )


def _first_counted(targets: Sequence[Target], as_of: datetime) -> datetime:
    """Give the first moment that anything of these targets is counted from: their periods, and what is usual."""
    usual = as_of - timedelta(days=LOOK_BACK_DAYS + 1)
    starts = [target.starts_on for target in targets if target.starts_on]
    return min([usual, *(datetime.combine(day, time.min, as_of.tzinfo) for day in starts)])


def _uncounted(targets: Sequence[Target], known: pl.Series) -> list[str]:
    """Say which quotas are in a currency that no opportunity or order is in."""
    names = sorted(set(known.drop_nulls()))
    lone = [target for target in targets if names and target.currency and target.currency not in names]
    if not lone:
        return []
    currencies = ", ".join(sorted({str(target.currency) for target in lone}))
    sentence = (
        f"{len(lone)} of {len(targets)} quotas are in {currencies}, such as {lone[0].quota_id}; amounts of what is sold are in {', '.join(names)}, "
        "so that nothing counts towards them: correct their currency"
    )
    return [sentence]


def _remarks(targets: Sequence[Target], run: Run | None, as_of: datetime) -> list[str]:
    found = []
    if run is None:
        found.append(
            f"no revenue forecast as of {as_of:%Y-%m-%d} or before is kept, so that nothing is projected; "
            "`forecast outlook --as-of MOMENT` makes and keeps one"
        )
    pairs = list(overlapping(targets))
    if pairs:
        (first, second), count = pairs[0], len({one.quota_id for pair in pairs for one in pair})
        found.append(
            f"{count} quotas share days with another of the same unit, such as {first.quota_id} and {second.quota_id}; "
            "each counts by itself"
        )
    assumed = [target for target in targets if target.is_end_assumed]
    if assumed:
        found.append(
            f"{len(assumed)} quotas name no last day, such as {assumed[0].quota_id}: each lasts until the next of its unit begins, "
            "and the last as long as the one before"
        )
    return found


def read_adviser(session: Session, *, as_of: datetime, currency: str | None, timezone: str) -> Adviser:
    """Read what a proposal is made of and judged by: sellers are active persons who booked or own something open.

    Raises:
        InputError: amounts are in several currencies, and none was named.
    """
    run = find_run(session, until=as_of)
    named = currency or (run.currency if run else None)
    records = read_deal_records(session, timezone=timezone, fields=COUNTED, levels=OWNERS)
    ground = Ground(
        today=as_of.astimezone(ZoneInfo(timezone)).date(),
        bookings=find_bookings(records, as_of, currency=named),
        cells=pl.DataFrame(schema=CELL_TYPES)
        if run is None or run.currency not in {named, None}
        else read_cells(session, run.id),
        deals=of_currency(read_deals(session, records, as_of), named, known_currencies(records, as_of)),
    )
    sellers = Sellers(
        people=_active(_people(session, ground)),
        bookings=ground.bookings,
        cells=ground.cells.filter(pl.col("level") == PERSON),
        today=ground.today,
    )
    return Adviser(sellers=sellers, ground=ground, currency=named)


def _people(session: Session, ground: Ground) -> pl.DataFrame:
    """List who booked or owns something open, with what is stored of them."""
    opened = ground.deals.filter(pl.col("status") == "open")
    owners = pl.concat([opened["owner_id"], ground.bookings["owner_id"]]).unique().to_frame()
    stored = sa.select(
        Person.id.label("owner_id"),
        Person.name,
        Person.team_id,
        Team.name.label("team_name"),
        sa.or_(Person.active.is_(False), Person.deleted_at.is_not(None)).label("gone"),
    ).outerjoin(Team, Team.id == Person.team_id)
    return owners.filter(pl.col("owner_id") != NO_UNIT[PERSON]).join(
        read_frame(session, stored), on="owner_id", how="left"
    )


def _active(people: pl.DataFrame) -> pl.DataFrame:
    return (
        people.filter(~pl.col("gone").fill_null(value=False))
        .with_columns(pl.col("team_id").fill_null(NO_UNIT[TEAM]))
        .select("owner_id", "name", "team_id", "team_name")
        .sort("owner_id")
    )


def judge_proposal(proposal: Proposal, adviser: Adviser) -> list[Attainment]:
    """Say where the units' targets of the whole year stand, as if they were adopted: company, teams, persons."""
    years = proposal.parts.group_by("level", "unit_id", maintain_order=True).agg(
        pl.col("unit_name").first(), pl.col("starts_on").min(), pl.col("ends_on").max(), pl.col("amount").sum().round(2)
    )
    return [
        attain(Target(quota_id=None, known=True, metric="revenue", currency=adviser.currency, **row), adviser.ground)
        for row in years.iter_rows(named=True)
    ]


def quota_records(proposal: Proposal, *, currency: str | None) -> list[dict[str, Any]]:
    """Give the parts as records of kind quota, to be written; adopting again changes the same records.

    What belongs to no team has no quota of a team.
    """
    owners = {TEAM: "team_id", PERSON: "person_id"}
    return [
        {
            "id": "-".join(["target", str(row["starts_on"]), proposal.period, row["level"], row["unit_id"]]).rstrip(
                "-"
            ),
            **({owners[row["level"]]: row["unit_id"]} if row["level"] in owners else {}),
            "starts_on": row["starts_on"],
            "ends_on": row["ends_on"],
            "metric": "revenue",
            "amount": Decimal(str(row["amount"])).quantize(Decimal("0.01")),
            "currency": currency,
        }
        for row in proposal.parts.iter_rows(named=True)
        if row["unit_id"] != NO_UNIT[TEAM] or row["level"] != TEAM
    ]
