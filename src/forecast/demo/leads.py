"""Leads: those that became opportunities, and those that did not."""

import numpy as np
import polars as pl

from forecast.demo import words as w
from forecast.demo.columns import Ints, choose, ids, local_words, moments, with_gaps, words
from forecast.demo.course import draw_events, enter_late
from forecast.demo.market import (
    PERSON_NAMES,
    REGIONS,
    SPEAKS_CHINESE,
    Market,
    campaign_at,
    company_names,
    draw_towns,
    person_names,
)
from forecast.demo.opportunities import SOURCES
from forecast.demo.workdays import Workdays

_CONVERTED_SHARE = 1 / 3
_CONVERTED_TITLES = (0.25, 0.3, 0.25, 0.15, 0.05)
_OTHER_TITLES = (0.1, 0.2, 0.15, 0.3, 0.25)
_OTHER_SOURCES = (0.05, 0.08, 0.34, 0.2, 0.1, 0.02, 0.21)
_CAMPAIGN_SOURCES = [SOURCES.index(name) for name in ("Website", "Trade show", "Search ad")]


def draw_leads(rng: np.random.Generator, drawn: pl.DataFrame, *, workdays: Workdays, signal: float) -> pl.DataFrame:
    """Draw leads in the order of their creation, with codes; `opportunity` is -1 where none came of it.

    The others look like the converted ones except for what `signal` adds: weaker sources and titles, fewer activities, a
    longer wait.
    """
    converted = drawn.filter("from_lead").select(
        "opportunity", "region", "industry", "source", "owner", "account", at="created"
    )
    others = _draw_others(rng, converted, workdays=workdays, signal=signal)
    leads = pl.concat([converted, others]).with_columns(converted=pl.col("opportunity") >= 0)
    count, became = leads.height, leads["converted"].to_numpy()
    lively = np.where(rng.random(count) < signal, became, rng.random(count) < _CONVERTED_SHARE)
    titles = np.where(lively, choose(rng, _CONVERTED_TITLES, count), choose(rng, _OTHER_TITLES, count))
    age = 0.5 + rng.lognormal(np.where(lively, 1.6, 2.4), 0.7)
    begun = np.where(became, leads["at"].to_numpy() - age, leads["at"].to_numpy())
    region = leads["region"].to_numpy()
    return (
        leads.with_columns(
            lively=pl.Series(lively),
            title_code=pl.Series(titles),
            begun=pl.Series(begun),
            ended=pl.Series(begun + age),
            begun_seconds=pl.Series(workdays.seconds(region, begun)),
            ended_seconds=pl.Series(workdays.seconds(region, np.where(became, leads["at"].to_numpy(), begun + age))),
        )
        .sort("begun_seconds", maintain_order=True)
        .with_columns(lead=pl.Series(np.arange(count)))
    )


def _draw_others(
    rng: np.random.Generator, converted: pl.DataFrame, *, workdays: Workdays, signal: float
) -> pl.DataFrame:
    count = round(converted.height * (1 - _CONVERTED_SHARE) / _CONVERTED_SHARE)
    alike = converted[rng.integers(0, converted.height, count)]
    source = np.where(rng.random(count) < signal, choose(rng, _OTHER_SOURCES, count), alike["source"].to_numpy())
    begun = workdays.worked_at(alike["region"].to_numpy(), rng.random(count), rng=rng)
    nobody = pl.lit(-1, pl.Int64)
    return alike.with_columns(opportunity=nobody, account=nobody, source=pl.Series(source), at=pl.Series(begun))


def export_leads(rng: np.random.Generator, leads: pl.DataFrame, *, market: Market, workdays: Workdays) -> pl.DataFrame:
    """Write leads as a CRM would at the end of the history."""
    count, region, industry = leads.height, leads["region"].to_numpy(), leads["industry"].to_numpy()
    chinese = SPEAKS_CHINESE[region]
    converted = leads["converted"].to_numpy()
    still_open = leads["ended_seconds"].to_numpy() >= workdays.until_seconds
    account = np.maximum(leads["account"].to_numpy(), 0)
    company = pl.select(
        pl.when(pl.Series(converted))
        .then(market.accounts["name"].gather(account))
        .otherwise(company_names(rng, region=region, towns=draw_towns(rng, region), industry=industry))
    ).to_series()
    number = pl.Series(rng.integers(10_000_000, 99_999_999, count)).cast(pl.String)
    reason = rng.integers(0, len(w.LEAD_LOST_REASONS_ZH), count)
    reasons = local_words(w.LEAD_LOST_REASONS_ZH, w.LEAD_LOST_REASONS_EN, codes=reason, in_chinese=chinese)
    source = words(SOURCES, leads["source"].to_numpy())
    status = np.where(converted, 1, np.where(still_open, 0, 2))
    return pl.DataFrame(
        {
            "id": ids("N", leads["lead"].to_numpy(), digits=6),
            "created_at": moments(leads["begun_seconds"].to_numpy()),
            "name": person_names(rng.integers(0, PERSON_NAMES, count), chinese),
            "company": company,
            "title": local_words(
                w.LEAD_TITLES_ZH, w.LEAD_TITLES_EN, codes=leads["title_code"].to_numpy(), in_chinese=chinese
            ),
            "email": with_gaps("n" + number + "@mail.example", rng.random(count) < 0.15),
            "phone": with_gaps(words(("+86 1", "+1 "), 1 - chinese.astype(np.int64)) + number, rng.random(count) < 0.2),
            "industry": words(w.INDUSTRIES, industry),
            "region": words([one.name for one in REGIONS], region),
            "account_id": with_gaps(ids("A", account, digits=5), ~converted),
            "owner_id": ids("U", leads["owner"].to_numpy(), digits=2),
            "source": with_gaps(source, rng.random(count) < 0.04),
            "campaign_id": campaign_ids(leads["source"].to_numpy(), leads["begun_seconds"].to_numpy(), workdays),
            "status": words(("open", "converted", "disqualified"), status),
            "closed_at": with_gaps(moments(leads["ended_seconds"].to_numpy()), still_open),
            "opportunity_id": with_gaps(ids("O", leads["opportunity"].to_numpy(), digits=7), ~converted),
            "lost_reason": with_gaps(reasons, status != 2),
        }
    )


def campaign_ids(source: Ints, seconds: Ints, workdays: Workdays) -> pl.Series:
    """Give the campaign that ran at each moment where the source is one that campaigns feed."""
    campaign = campaign_at(seconds, workdays)
    fed = np.isin(source, _CAMPAIGN_SOURCES) & (campaign >= 0)
    return with_gaps(ids("K", campaign, digits=2), ~fed)


def draw_lead_activities(rng: np.random.Generator, leads: pl.DataFrame) -> pl.DataFrame:
    """Draw events for `export_activities`: on leads to be converted more, and more of them inbound."""
    lively = leads["lively"].to_numpy()
    counts = rng.poisson(np.where(lively, 2.5, 1.5))
    ended = leads["ended"].to_numpy()
    events = draw_events(rng, counts, begins=leads["begun"].to_numpy(), ends=ended)
    rows = events["opportunity"].to_numpy()
    answers = np.where(lively, 0.4, 0.15)[rows]
    return enter_late(rng, events, ended).select(
        pl.lit(-1, pl.Int64).alias("opportunity"),
        pl.Series("lead", rows),
        pl.Series("account", np.full(len(rows), -1)),
        pl.Series("region", leads["region"].to_numpy()[rows]),
        pl.Series("seller", leads["owner"].to_numpy()[rows]),
        "at",
        "entered",
        pl.Series("inbound", rng.random(len(rows)) < answers),
    )
