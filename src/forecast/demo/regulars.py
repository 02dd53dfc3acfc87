"""Customers that buy without a seller's offer: each orders spare parts at a rhythm of its own, then fades, leaves or pauses."""

from dataclasses import replace

import numpy as np
import polars as pl

from forecast.demo.columns import SECONDS_A_DAY, Floats, Ints
from forecast.demo.customers import describe_orders
from forecast.demo.market import Market, draw_accounts, moments_of
from forecast.demo.workdays import Workdays

_KNOWN_AT_START = 0.6
_GAP_SHARE, _GAP_SPREAD = 0.055, 1.0
_SLOWNESS = (0.3, 4.0)
_RHYTHM_SHAPE = 25.0
_STAYS_SHARE = 0.3
_FADES_SHARE = 0.6
_GAPS_TO_DOUBLE = 3.0
_RETURNS_SHARE = 0.5
_PAUSE_MIN_SHARE, _PAUSE_SHARE = 0.1, 0.12
_NEVER = 9.0
_PRODUCTS = (7, 9, 17, 18)
"""Codes of spare sensors, float probes, reference gauges and spare parts."""
_UNITS_BY_SIZE = (2, 4, 10, 40)


def draw_regulars(
    rng: np.random.Generator, market: Market, *, count: int, first_order: int, workdays: Workdays
) -> tuple[Market, pl.DataFrame]:
    """Draw customers and their orders; the market that is given back has these accounts only, those who ever ordered.

    Args:
        rng: of these customers alone.
        market: that they are part of; their ids come after those of its accounts.
        count: how many there are before and within the history.
        first_order: number of the first order.
        workdays: of the company.
    """
    accounts = draw_accounts(
        rng, count, opened_year=int(market.teams["created_at"].dt.year()[0]), first=market.accounts.height
    )
    placed = _place_orders(rng, replace(market, accounts=accounts), workdays)
    entered = placed.group_by("account").agg(pl.col("seconds").min() - 3 * SECONDS_A_DAY)
    dated = accounts.join(entered, on="account", how="left", maintain_order="left").with_columns(
        moments_of("seconds").alias("created_at")
    )
    regulars = replace(market, accounts=dated)
    orders = describe_orders(rng, placed, market=regulars, first=first_order, workdays=workdays)
    return regulars, orders


def _place_orders(rng: np.random.Generator, market: Market, workdays: Workdays) -> pl.DataFrame:
    count = market.accounts.height
    account, at = _order_times(rng, count)
    own_product = np.array(_PRODUCTS)[rng.integers(0, len(_PRODUCTS), count)]
    region, size = (market.accounts[name].to_numpy()[account] for name in ("region_code", "size_code"))
    product = own_product[account]
    units = np.array(_UNITS_BY_SIZE)[size] * np.maximum(1, rng.poisson(1.2, len(account)))
    price = market.products["list_price"].to_numpy()[product]
    return pl.DataFrame(
        {
            "account": account,
            "opportunity": np.full(len(account), -1),
            "owner": np.full(len(account), -1),
            "product": product,
            "amount": np.round(price * units * rng.uniform(0.85, 1.1, len(account)), -1),
            "seconds": workdays.seconds(region, workdays.worked_at(region, at, rng=rng)),
        }
    ).filter(pl.col("seconds") < workdays.until_seconds)


def _order_times(rng: np.random.Generator, accounts: int) -> tuple[Ints, Floats]:
    """Draw who orders when, as shares of the history's business: at gaps of its own while it is there."""
    usual = _GAP_SHARE * np.exp(rng.normal(0, _GAP_SPREAD, accounts)).clip(*_SLOWNESS)
    begins, ends = _draw_spells(rng, accounts)
    steps = int(np.ceil(2 / usual.min()))
    at = np.cumsum(rng.gamma(_RHYTHM_SHAPE, usual[:, None] / _RHYTHM_SHAPE, (accounts, steps)), axis=1)
    at -= usual[:, None] * rng.random((accounts, 1))
    fades = rng.random((accounts, 1)) < _FADES_SHARE
    at = np.where(fades, _fading(at, ends[:, :1], usual[:, None]), at)
    ends = np.where(fades, _NEVER, ends)
    there = ((begins[:, :, None] <= at[:, None]) & (at[:, None] < ends[:, :, None])).any(axis=1)
    account, step = np.nonzero(there & (at >= 0) & (at < 1))
    return account, at[account, step]


def _fading(at: Floats, since: Floats, usual: Floats) -> Floats:
    """Move orders after `since` on, so that gaps double every few orders."""
    pace = np.log(2) / (_GAPS_TO_DOUBLE * usual)
    later = np.expm1(np.minimum(pace * np.maximum(at - since, 0.0), 50.0)) / pace
    return np.asarray(np.minimum(at, since) + later)


def _draw_spells(rng: np.random.Generator, accounts: int) -> tuple[Floats, Floats]:
    """Draw when each account comes and goes, twice: half come back after a pause, once."""
    known = np.arange(accounts) < _KNOWN_AT_START * accounts
    comes = np.where(known, 0.0, rng.random(accounts))[:, None]
    stays = rng.exponential(_STAYS_SHARE, (accounts, 2))
    pauses = _PAUSE_MIN_SHARE + rng.exponential(_PAUSE_SHARE, (accounts, 2))
    pauses[rng.random(accounts) >= _RETURNS_SHARE] = _NEVER
    begins = comes + np.cumsum(stays + pauses, axis=1) - (stays + pauses)
    return begins, begins + stays
