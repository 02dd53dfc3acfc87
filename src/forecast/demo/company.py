"""Put a simulated company together and write it as files."""

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from forecast.demo.activities import export_activities
from forecast.demo.columns import SECONDS_A_DAY, ids, moments
from forecast.demo.course import draw_courses, draw_opportunity_activities
from forecast.demo.customers import ORDER_COLUMNS, draw_orders, draw_sales
from forecast.demo.export import (
    export_field_changes,
    export_opportunities,
    export_quotes,
    export_stage_changes,
    export_stages,
)
from forecast.demo.history import History, draw_history
from forecast.demo.leads import draw_lead_activities, draw_leads, export_leads
from forecast.demo.market import ACCOUNT_COLUMNS, REGIONS, Market, date_accounts, draw_market
from forecast.demo.opportunities import draw_opportunities
from forecast.demo.order_lines import draw_order_lines
from forecast.demo.regulars import draw_regulars
from forecast.demo.service import draw_cases, draw_feedback
from forecast.demo.targets import set_quotas
from forecast.demo.workdays import Workdays, lay_out_workdays
from forecast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Company:
    """A company's records as its CRM exports them at `until`, and the truth behind them.

    Amounts are in CNY, moments UTC. A column of opportunities that no record has is a custom field. Nothing was recorded
    at or after `until`; dates such as an expected close may lie later.

    Attributes:
        truth: one row an opportunity: `opportunity_id, p_true, won, closed_at`; `p_true` is the probability at creation
            of being won in the end, `won` and `closed_at` the end itself, which may lie after `until`.
    """

    accounts: pl.DataFrame
    people: pl.DataFrame
    teams: pl.DataFrame
    products: pl.DataFrame
    campaigns: pl.DataFrame
    leads: pl.DataFrame
    opportunities: pl.DataFrame
    stages: pl.DataFrame
    stage_changes: pl.DataFrame
    field_changes: pl.DataFrame
    activities: pl.DataFrame
    quotes: pl.DataFrame
    orders: pl.DataFrame
    order_lines: pl.DataFrame
    cases: pl.DataFrame
    feedback: pl.DataFrame
    quotas: pl.DataFrame
    truth: pl.DataFrame


def simulate_company(
    seed: int, until: datetime, *, opportunities: int = 4000, regulars: int = 0, signal: float = 1.0
) -> Company:
    """Simulate three years of a company that sells instruments, software and services in China, Europe and America.

    The same arguments give the same frames, bit for bit.

    Args:
        seed: of everything that is drawn.
        until: end of the history, exclusive.
        opportunities: how many, at least 100; accounts are a tenth of them.
        regulars: further customers that order without a seller's offer; those who left before the history leave no record.
        signal: 1 is the company as described, 0 pure noise: every opportunity's `p_true` is the base rate, and what
            happens to it, to its leads included, says nothing about its outcome.

    Raises:
        InputError: `until` has no time zone, or a number is out of its range.
    """
    _check(until, opportunities=opportunities, regulars=regulars, signal=signal)
    rng = np.random.default_rng(seed)
    workdays = lay_out_workdays(until, REGIONS)
    market = draw_market(rng, workdays, accounts=max(60, opportunities // 10))
    known = draw_opportunities(rng, count=opportunities, market=market, workdays=workdays, signal=signal)
    lives = draw_courses(rng, known, workdays)
    history = draw_history(rng, lives, old_customers=market.accounts["old_customer"], workdays=workdays)
    leads = draw_leads(rng, known, workdays=workdays, signal=signal)
    frames = {
        **_market_frames(rng, market, known=known, leads=leads, workdays=workdays),
        **_pipeline_frames(rng, history, leads, market=market, workdays=workdays),
        **_customer_frames(rng, history.opportunities, market=market, workdays=workdays),
    }
    if regulars:
        more = _regular_frames(
            np.random.default_rng([seed, 1]), frames, count=regulars, market=market, workdays=workdays
        )
        frames |= {name: pl.concat([frames[name], more[name]]) for name in more}
    return Company(
        **frames,
        quotas=set_quotas(frames["orders"], market=market, workdays=workdays),
        truth=_truth(history.opportunities),
    )


def _market_frames(
    rng: np.random.Generator, market: Market, *, known: pl.DataFrame, leads: pl.DataFrame, workdays: Workdays
) -> dict[str, pl.DataFrame]:
    old = market.accounts.filter("old_customer").select(
        "account", seen_at=pl.lit(workdays.start_day * SECONDS_A_DAY, dtype=pl.Int64)
    )
    seen = [known.select("account", seen_at="created_seconds"), leads.select("account", seen_at="begun_seconds"), old]
    accounts = date_accounts(rng, market.accounts, first_seen=pl.concat(seen))
    return {
        "accounts": accounts.select(ACCOUNT_COLUMNS),
        "people": market.people,
        "teams": market.teams,
        "products": market.products,
        "campaigns": market.campaigns,
        "stages": export_stages(market.teams["created_at"]),
    }


def _pipeline_frames(
    rng: np.random.Generator, history: History, leads: pl.DataFrame, *, market: Market, workdays: Workdays
) -> dict[str, pl.DataFrame]:
    lead_of = leads.filter("converted").select("opportunity", "lead")
    drawn = history.opportunities.join(lead_of, on="opportunity", how="left", maintain_order="left")
    events = pl.concat([draw_opportunity_activities(rng, drawn), draw_lead_activities(rng, leads)])
    return {
        "leads": export_leads(rng, leads, market=market, workdays=workdays),
        "opportunities": export_opportunities(rng, drawn, market=market, workdays=workdays),
        "stage_changes": export_stage_changes(history.steps),
        "field_changes": export_field_changes(
            amounts=history.amounts, close_days=history.close_days, handovers=history.handovers
        ),
        "activities": export_activities(rng, events, workdays),
        "quotes": export_quotes(rng, history.quotes, drawn),
    }


def _customer_frames(
    rng: np.random.Generator, drawn: pl.DataFrame, *, market: Market, workdays: Workdays
) -> dict[str, pl.DataFrame]:
    sales = draw_sales(rng, drawn, accounts=market.accounts, workdays=workdays)
    orders = draw_orders(rng, drawn, sales, market=market, workdays=workdays)
    cases = draw_cases(rng, sales, market=market, workdays=workdays)
    feedback = draw_feedback(rng, sales, cases=cases, workdays=workdays)
    return {
        "orders": orders.select(ORDER_COLUMNS),
        "order_lines": draw_order_lines(rng, orders, market),
        "cases": cases.drop("sale"),
        "feedback": feedback,
    }


def _regular_frames(
    rng: np.random.Generator, others: dict[str, pl.DataFrame], *, count: int, market: Market, workdays: Workdays
) -> dict[str, pl.DataFrame]:
    """Draw customers that order without a seller's offer, to be added to the others."""
    regulars, orders = draw_regulars(rng, market, count=count, first_order=others["orders"].height, workdays=workdays)
    return {
        "accounts": regulars.accounts.filter(pl.col("created_at").is_not_null()).select(ACCOUNT_COLUMNS),
        "orders": orders.select(ORDER_COLUMNS),
        "order_lines": draw_order_lines(rng, orders, regulars, first=others["order_lines"].height),
    }


def _truth(drawn: pl.DataFrame) -> pl.DataFrame:
    return drawn.select(
        ids("O", drawn["opportunity"].to_numpy(), digits=7).alias("opportunity_id"),
        "p_true",
        "won",
        moments(drawn["closed_seconds"].to_numpy()).alias("closed_at"),
    )


def _check(until: datetime, *, opportunities: int, regulars: int, signal: float) -> None:
    if until.tzinfo is None:
        raise InputError(f"until is {until} without a time zone; give one such as {until}+00:00")
    if opportunities < 100:
        raise InputError(f"opportunities is {opportunities}; give 100 or more, fewer say nothing")
    if regulars < 0:
        raise InputError(f"regulars is {regulars}; give 0 or more")
    if not 0 <= signal <= 1:
        raise InputError(f"signal is {signal}; give a number from 0 (noise) to 1")


def write_export(company: Company, folder: Path) -> list[Path]:
    """Write a company's records, not its truth, as one CSV file a kind, named by it; headings are our own columns."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for field in fields(company):
        if field.name != "truth":
            paths.append(folder / f"{field.name}.csv")
            frame: pl.DataFrame = getattr(company, field.name)
            frame.write_csv(paths[-1], datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return paths
