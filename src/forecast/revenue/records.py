"""What is stored of sales: opportunities and orders, and the units that they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from forecast.errors import TooLittleHistoryError
from forecast.features.durations import days
from forecast.metrics import Floats
from forecast.revenue.cells import NO_UNIT, PERSON, PRODUCT, REGION, TEAM
from forecast.revenue.currencies import check_currency, of_currency
from forecast.revenue.planned import NO_CHANGES, NO_TARGETS, known_targets
from forecast.snapshot import History, count_untold, look_back

UNITS = (PERSON, TEAM, REGION, PRODUCT)


@dataclass(frozen=True, kw_only=True)
class SalesRecords:
    """Records of sales as stored, or as they were known at a moment.

    Attributes:
        history: of opportunities.
        orders: that are sales: `opportunity_id, account_id, owner_id, team_id, ordered_at, amount, currency, region` and `product`,
            the line of its largest part.
        people: `person, team`, one row a person.
        products: `product_id, product`, the line of each product, else its family, else its name; one that is no record is itself.
        teams: `team, region`.
        names: of units, by level and id.
        timezone: of months.
        targets: of revenue, as `revenue.planned.TARGET_TYPES`.
        target_changes: of their amounts, as CHANGE_TYPES.
    """

    history: History
    orders: pl.DataFrame
    people: pl.DataFrame
    products: pl.DataFrame
    teams: pl.DataFrame
    names: Mapping[tuple[str, str], str]
    timezone: str
    targets: pl.DataFrame = field(default_factory=NO_TARGETS.clone)
    target_changes: pl.DataFrame = field(default_factory=NO_CHANGES.clone)


@dataclass(frozen=True, kw_only=True)
class Sales:
    """What was known at a moment, in one currency.

    Attributes:
        as_of: that moment.
        history: of opportunities, cut there.
        deals: `opportunity_id, created_at, closed_at, status, amount, won_amount`, the product and the units; opportunities that
            have a creation date, `amount` as known at the moment.
        booked: `booked_at, created_at, amount, from_deal` and the units: won opportunities, and orders that have none;
            `from_deal` where there is a deal that it can be told from beforehand, which was created then.
        currency: of all amounts; None where the records name none.
        timezone: of months.
        remarks: what was left out, in sentences.
        targets: as `revenue.planned.known_targets` gives them.
    """

    as_of: datetime
    history: History
    deals: pl.DataFrame
    booked: pl.DataFrame
    currency: str | None
    timezone: str
    remarks: tuple[str, ...] = ()
    targets: pl.DataFrame = field(default_factory=NO_TARGETS.clone)

    @property
    def open_deals(self) -> pl.DataFrame:
        """Deals that had not ended."""
        return self.deals.filter(pl.col("status") == "open")

    @property
    def announced_share(self) -> float:
        """Share of what was booked in the last year that opportunities had announced, 0-1; all of it where nothing was booked."""
        lately = self.booked.filter(pl.col("booked_at") >= self.as_of - timedelta(days=365), pl.col("amount") > 0)
        whole = float(lately["amount"].sum())
        return float(lately.filter("from_deal")["amount"].sum()) / whole if whole > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class Months:
    """Calendar months, of which the first holds the moment.

    Attributes:
        starts: first days.
        ends_days: days from the moment to each month's end.
        elapsed: share of the first month that is over, 0-1.
    """

    starts: tuple[date, ...]
    ends_days: Floats
    elapsed: float


def months_ahead(as_of: datetime, horizon: int, timezone: str) -> Months:
    """List so many months from the one that holds the moment on."""
    zone = ZoneInfo(timezone)
    first = as_of.astimezone(zone).date().replace(day=1)
    starts = pl.date_range(first, pl.lit(first).dt.offset_by(f"{horizon}mo"), "1mo", eager=True).to_list()
    midnights = [datetime(day.year, day.month, day.day, tzinfo=zone) for day in starts]
    until = np.array([(midnight - as_of) / timedelta(days=1) for midnight in midnights])
    return Months(starts=tuple(starts[:-1]), ends_days=until[1:], elapsed=float(-until[0] / (until[1] - until[0])))


def read_sales(records: SalesRecords, as_of: datetime, *, currency: str | None = None) -> Sales:
    """Give what was known at a moment.

    Args:
        currency: whose amounts count, by `revenue.currencies`; may be None where one is known at most.

    Raises:
        TooLittleHistoryError: nothing was booked and nothing was open, or nothing in this currency.
        InputError: amounts are in several currencies, and none was named.
    """
    history = look_back(records.history, as_of)
    known, orders = _deals(records, history), _orders(records, history, as_of)
    currencies = pl.concat([known["currency"], orders["currency"]])
    money = check_currency(currency, currencies)
    known, orders = (of_currency(frame, money, currencies) for frame in (known, orders))
    booked, remarks = _booked(known, orders)
    deals = known.filter(pl.col("created_at").is_not_null())
    undated = known.filter(pl.col("created_at").is_null(), pl.col("status") == "open").height
    if not orders.is_empty() and not orders["opportunity_id"].is_not_null().any():
        deals = deals.clear()
    nameless = currencies.null_count() if currencies.drop_nulls().n_unique() > 1 else 0
    if nameless:
        remarks = (*remarks, f"{nameless} amounts name no currency and are left out: there are several")
    untold = 0 if deals.is_empty() else count_untold(records.history, history)
    if untold:
        remarks = (*remarks, f"of {untold} open opportunities no history tells which stage or close date they had then")
    if undated:
        remarks = (*remarks, f"{undated} open opportunities without a creation date are left out")
    if booked.is_empty() and not (deals["status"] == "open").any():
        raise TooLittleHistoryError(
            f"neither orders nor opportunities with a date are known before {as_of:%Y-%m-%d}; import some first"
        )
    return Sales(
        as_of=as_of,
        history=replace(history, earlier=None),
        deals=deals.sort("opportunity_id"),
        booked=booked.sort("booked_at", PERSON, "amount"),
        currency=money,
        timezone=records.timezone,
        remarks=remarks,
        targets=of_currency(
            known_targets(records.targets, records.target_changes, as_of, records.timezone), money, currencies
        ),
    )


def _deals(records: SalesRecords, history: History) -> pl.DataFrame:
    known = (
        history.opportunities.join(history.closings, on="opportunity_id")
        .join(records.products, on="product_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce(PRODUCT, "product_id").alias(PRODUCT), pl.lit(None, pl.String).alias(REGION))
    )
    return _with_units(records, history, known).select(
        "opportunity_id",
        "created_at",
        "closed_at",
        "status",
        pl.col("amount").cast(pl.Float64),
        pl.col("won_amount").cast(pl.Float64),
        "currency",
        "product_id",
        *UNITS,
    )


def _orders(records: SalesRecords, history: History, as_of: datetime) -> pl.DataFrame:
    return _with_units(records, history, _orders_before(records, as_of)).select(
        "opportunity_id",
        pl.col("ordered_at").alias("booked_at"),
        pl.col("amount").cast(pl.Float64),
        "currency",
        *UNITS,
    )


def _orders_before(records: SalesRecords, moment: datetime) -> pl.DataFrame:
    return records.orders.filter(pl.col("ordered_at") < moment).drop_nulls("amount")


def with_teams(rows: pl.DataFrame, records: SalesRecords) -> pl.DataFrame:
    """Fill `team_id` of rows with an `owner_id`: the team that the record names, else its owner's."""
    owners = records.people.select(pl.col(PERSON).alias("owner_id"), pl.col(TEAM).alias("owner_team"))
    return (
        rows.join(owners, on="owner_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce("team_id", "owner_team").alias("team_id"))
        .drop("owner_team")
    )


def _with_units(records: SalesRecords, history: History, rows: pl.DataFrame) -> pl.DataFrame:
    """Name the person, team, region and product of each row; what belongs to none has the unit of NO_UNIT.

    A region is that which the row names, else its account's, else its team's.
    """
    placed = (
        with_teams(rows, records)
        .rename({"owner_id": PERSON, "team_id": TEAM})
        .join(_account_regions(history), on="account_id", how="left", maintain_order="left")
        .join(records.teams, on=TEAM, how="left", suffix="_of_team", maintain_order="left")
        .with_columns(pl.coalesce(REGION, "account_region", f"{REGION}_of_team").alias(REGION))
    )
    return placed.with_columns(pl.col(level).fill_null(NO_UNIT[level]) for level in UNITS)


def _account_regions(history: History) -> pl.DataFrame:
    if {"account_id", "account_region"} <= set(history.accounts.columns):
        return history.accounts.select("account_id", "account_region")
    return pl.DataFrame(schema={"account_id": pl.String, "account_region": pl.String})


def _booked(deals: pl.DataFrame, orders: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Give what was booked: won opportunities and orders without one; orders alone where none names an opportunity."""
    won = deals.filter(pl.col("status") == "won", pl.col("closed_at").is_not_null()).select(
        pl.col("closed_at").alias("booked_at"),
        "created_at",
        pl.coalesce("won_amount", "amount").alias("amount"),
        pl.col("created_at").is_not_null().alias("from_deal"),
        *UNITS,
    )
    won = won.drop_nulls("amount")
    linked = orders["opportunity_id"].is_not_null()
    no_deal = (
        pl.lit(None, won["created_at"].dtype).alias("created_at"),
        "amount",
        pl.lit(value=False).alias("from_deal"),
    )
    loose = orders.filter(~linked).select("booked_at", *no_deal, *UNITS)
    if orders.is_empty() or linked.any():
        said = () if loose.is_empty() else (f"{loose.height} orders without an opportunity count as booked, too",)
        return pl.concat([won, loose]), said
    if won.is_empty():
        return loose, ("no opportunity was won: booked revenue is that of orders",)
    remark = (
        f"no order names its opportunity, so that {won.height} won opportunities can't be told from {loose.height} orders: "
        "booked revenue is that of orders, and opportunities are not part of the forecast"
    )
    return loose, (remark,)


def known_currencies(records: SalesRecords, moment: datetime) -> pl.Series:
    """Give the currencies of all amounts that were known strictly before a moment, one an opportunity or order."""
    opportunities = records.history.opportunities.filter(
        pl.col("created_at").is_null() | (pl.col("created_at") < moment)
    )
    return pl.concat([opportunities["currency"], _orders_before(records, moment)["currency"]])


def days_since(moments: pl.Series, as_of: datetime) -> Floats:
    """Give the days from each moment to `as_of`; nan for a missing one."""
    since = days(pl.lit(as_of).cast(pl.Datetime("us", "UTC")) - moments)
    return pl.select(since.fill_null(float("nan"))).to_series().to_numpy()
