"""Opportunities as they are created: what is known of them, and their true probability of being won."""

import numpy as np
import polars as pl
from scipy.optimize import brentq
from scipy.special import expit

from forecast.demo.columns import Floats, Ints, choose, standardised
from forecast.demo.market import KNOWN_AT_START, SELLERS_A_TEAM, Market
from forecast.demo.products import MAIN_PRODUCTS
from forecast.demo.workdays import Workdays

SOURCES = ("Referral", "Partner", "Website", "Trade show", "Outbound call", "Executive contact", "Search ad")
BUYING_PROCESSES = ("direct", "framework", "tender")

BASE_RATE = 0.3
# log-odds of a standard deviation each; their sum is rescaled to the spread below
WEIGHTS = {
    "owner": 0.45,
    "source": 0.45,
    "product_fit": 0.45,
    "size": 0.25,
    "need_fit": 0.55,
    "purchasing_power": 0.45,
    "competition": 0.4,
    "relative_amount": -0.35,
    "budget_confirmed": 0.5,
    "buying_process": 0.3,
}

# at a base rate of 0.3 this spread gives p_true an AUC of 0.80
_LOG_ODDS_SPREAD = 1.4
_SOURCE_WEIGHTS = (0.14, 0.13, 0.2, 0.15, 0.16, 0.12, 0.1)
_SOURCE_EFFECTS = np.array([0.9, 0.4, 0.0, -0.1, -0.8, 0.7, -0.5])
_BUYING_PROCESS_EFFECTS = np.array([0.3, 0.8, -0.7])


def draw_opportunities(
    rng: np.random.Generator, *, count: int, market: Market, workdays: Workdays, signal: float
) -> pl.DataFrame:
    """Draw opportunities in the order of their creation, with codes, truth and course.

    `course` is the outcome that the opportunity's life looks like: with probability `signal` its own, else one drawn
    without regard to it.
    """
    drawn = _draw_known(rng, count=count, market=market, workdays=workdays)
    log_odds = _LOG_ODDS_SPREAD * signal * standardised(_merit(rng, drawn, market))
    p_true = expit(_intercept(log_odds) + log_odds)
    won = rng.random(count) < p_true
    course = np.where(rng.random(count) < signal, won, rng.random(count) < BASE_RATE)
    return drawn.with_columns(p_true=pl.Series(p_true), won=pl.Series(won), course=pl.Series(course))


def _draw_known(rng: np.random.Generator, *, count: int, market: Market, workdays: Workdays) -> pl.DataFrame:
    account, worked, seconds = _draw_arrivals(rng, count=count, market=market, workdays=workdays)
    accounts = market.accounts
    region = accounts["region_code"].to_numpy()[account]
    size = accounts["size_code"].to_numpy()[account]
    product = rng.integers(0, MAIN_PRODUCTS, count)
    relative_amount = rng.normal(0, 1, count)
    typical = market.products["list_price"].to_numpy()[product] * np.array([3, 5, 9, 15])[size]
    own_region_colleague = region * SELLERS_A_TEAM + rng.integers(0, SELLERS_A_TEAM, count)
    return pl.DataFrame(
        {
            "opportunity": np.arange(count),
            "account": account,
            "region": region,
            "industry": accounts["industry_code"].to_numpy()[account],
            "size": size,
            "created": worked,
            "created_seconds": seconds,
            "product": product,
            "owner": np.where(rng.random(count) < 0.7, accounts["owner"].to_numpy()[account], own_region_colleague),
            "source": choose(rng, _SOURCE_WEIGHTS, count),
            "from_lead": rng.random(count) < 0.55,
            "need_fit": _draw_matrix_score(rng, count),
            "purchasing_power": _draw_matrix_score(rng, count),
            "competition": _draw_matrix_score(rng, count),
            "budget_confirmed": rng.random(count) < 0.4,
            "buying_process": choose(rng, (0.5, 0.2, 0.3), count),
            "relative_amount": relative_amount,
            "amount_missing": rng.random(count) < 0.03,
            "amount": np.round(typical * np.exp(0.5 * relative_amount), -2),
        }
    )


def _draw_arrivals(
    rng: np.random.Generator, *, count: int, market: Market, workdays: Workdays
) -> tuple[Ints, Floats, Ints]:
    share = rng.random(count)
    known_accounts = market.accounts.height * (KNOWN_AT_START + (1 - KNOWN_AT_START) * share)
    account = (known_accounts * rng.random(count) ** 1.2).astype(np.int64)
    region = market.accounts["region_code"].to_numpy()[account]
    worked = workdays.worked_at(region, share, rng=rng)
    seconds = workdays.seconds(region, worked)
    order = np.argsort(seconds, kind="stable")
    return account[order], worked[order], seconds[order]


def _draw_matrix_score(rng: np.random.Generator, count: int) -> Ints:
    score: Ints = 1 + rng.binomial(4, 0.5, count).astype(np.int64)
    return score


def _merit(rng: np.random.Generator, drawn: pl.DataFrame, market: Market) -> Floats:
    skill = rng.normal(0, 1, market.people.height)
    fit = rng.normal(0, 1, (MAIN_PRODUCTS, 8))
    merits = {
        "owner": skill[drawn["owner"].to_numpy()],
        "source": _SOURCE_EFFECTS[drawn["source"].to_numpy()],
        "product_fit": fit[drawn["product"].to_numpy(), drawn["industry"].to_numpy()],
        "buying_process": _BUYING_PROCESS_EFFECTS[drawn["buying_process"].to_numpy()],
    }
    total = np.zeros(drawn.height)
    for name, weight in WEIGHTS.items():
        values = merits[name] if name in merits else drawn[name].to_numpy().astype(np.float64)
        total += weight * standardised(values)
    return total


def _intercept(log_odds: Floats) -> float:
    return float(brentq(lambda intercept: expit(intercept + log_odds).mean() - BASE_RATE, -10, 10))
