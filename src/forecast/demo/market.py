"""The company and its market: regions, teams, people, products, campaigns, accounts."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.demo import words as w
from forecast.demo.columns import SECONDS_A_DAY, Bools, Ints, choose, days, ids, moments, with_gaps, words
from forecast.demo.products import price_list
from forecast.demo.workdays import HISTORY_DAYS, Region, Workdays

TOWNS_A_REGION = 6
REGIONS = (
    Region(
        name="华东",
        team="华东销售部",
        towns=tuple((town, "中国") for town in ("上海", "杭州", "苏州", "南京", "宁波", "无锡")),
        utc_offset_hours=8,
        chinese=True,
    ),
    Region(
        name="华北",
        team="华北销售部",
        towns=tuple((town, "中国") for town in ("北京", "天津", "济南", "青岛", "石家庄", "大连")),
        utc_offset_hours=8,
        chinese=True,
    ),
    Region(
        name="华南",
        team="华南销售部",
        towns=tuple((town, "中国") for town in ("广州", "深圳", "东莞", "佛山", "厦门", "长沙")),
        utc_offset_hours=8,
        chinese=True,
    ),
    Region(
        name="Europe",
        team="Sales Europe",
        towns=(
            *(("Hamburg", "Germany"), ("Lyon", "France"), ("Malmö", "Sweden")),
            *(("Turin", "Italy"), ("Leeds", "United Kingdom"), ("Graz", "Austria")),
        ),
        utc_offset_hours=1,
        chinese=False,
    ),
    Region(
        name="North America",
        team="Sales North America",
        towns=(
            *(("Toledo", "United States"), ("Tacoma", "United States"), ("Duluth", "United States")),
            *(("Mobile", "United States"), ("Hamilton", "Canada"), ("Québec", "Canada")),
        ),
        utc_offset_hours=-5,
        chinese=False,
    ),
)
REGION_WEIGHTS = (0.24, 0.18, 0.18, 0.22, 0.18)
SPEAKS_CHINESE = np.array([region.chinese for region in REGIONS])
PERSON_NAMES = len(w.SURNAMES_ZH) * len(w.GIVEN_ZH)
CURRENCY = "CNY"
CAMPAIGN_EVERY_DAYS = 45
SELLERS_A_TEAM = 5
ACCOUNT_COLUMNS = (
    *("id", "created_at", "name", "industry", "region", "country", "channel", "size", "employees"),
    *("annual_revenue", "founded_year", "domain", "owner_id"),
)
KNOWN_AT_START = 0.35
SIZES = ("small", "medium", "large", "enterprise")

_SIZE_WEIGHTS = (0.4, 0.35, 0.18, 0.07)
_SIZE_EMPLOYEES = np.array([40, 250, 1500, 8000])
_CAMPAIGNS = (("官网推广", "Website"), ("Industry fair 行业展会", "Trade show"), ("Search ads 搜索广告", "Search ad"))


@dataclass(frozen=True, kw_only=True)
class Market:
    """Everybody and everything that is there before the first deal.

    Frames carry the codes that the rest of the simulation needs besides the exported columns; rows are in the order of
    their ids, so that a code is a row number.
    """

    teams: pl.DataFrame
    people: pl.DataFrame
    products: pl.DataFrame
    campaigns: pl.DataFrame
    accounts: pl.DataFrame


def draw_market(rng: np.random.Generator, workdays: Workdays, *, accounts: int) -> Market:
    """Draw the company and its market."""
    founded = moments(np.array([(workdays.start_day - 90) * SECONDS_A_DAY]))
    teams = pl.DataFrame(
        {
            "id": [f"T{number + 1}" for number in range(len(REGIONS))],
            "created_at": founded.gather([0] * len(REGIONS)),
            "name": [region.team for region in REGIONS],
            "region": [region.name for region in REGIONS],
        }
    )
    return Market(
        teams=teams,
        people=_people(rng, founded),
        products=price_list(founded, currency=CURRENCY),
        campaigns=_campaigns(rng, workdays),
        accounts=draw_accounts(rng, accounts, opened_year=int(founded.dt.year()[0])),
    )


def draw_accounts(rng: np.random.Generator, count: int, *, opened_year: int, first: int = 0) -> pl.DataFrame:
    """Draw accounts, with ids from number `first` on; their codes begin at 0."""
    region, industry = choose(rng, REGION_WEIGHTS, count), rng.integers(0, len(w.INDUSTRIES), count)
    size, towns = choose(rng, _SIZE_WEIGHTS, count), draw_towns(rng, region)
    employees = np.round(_SIZE_EMPLOYEES[size] * np.exp(rng.normal(0, 0.35, count)))
    owner = region * SELLERS_A_TEAM + rng.integers(0, SELLERS_A_TEAM, count)
    codes = pl.DataFrame(
        {
            "account": np.arange(count),
            "region_code": region,
            "industry_code": industry,
            "size_code": size,
            "owner": owner,
        }
    )
    return codes.with_columns(
        ids("A", first + codes["account"].to_numpy(), digits=5),
        company_names(rng, region=region, towns=towns, industry=industry).alias("name"),
        words(w.INDUSTRIES, industry).alias("industry"),
        words([one.name for one in REGIONS], region).alias("region"),
        words([country for one in REGIONS for _, country in one.towns], towns).alias("country"),
        words(("direct", "partner"), choose(rng, (3, 1), count)).alias("channel"),
        words(SIZES, size).alias("size"),
        pl.Series("employees", employees.astype(np.int64)),
        pl.Series("annual_revenue", np.round(employees * rng.lognormal(6.3, 0.4, count)) * 1000),
        pl.Series("founded_year", opened_year - 3 - rng.gamma(2.0, 10.0, count).astype(np.int64)),
        pl.Series("old_customer", (np.arange(count) < KNOWN_AT_START * count) & (rng.random(count) < 0.7)),
        pl.format("a{}.example", first + pl.col("account") + 1).alias("domain"),
        ids("U", owner, digits=2).alias("owner_id"),
    )


def date_accounts(rng: np.random.Generator, accounts: pl.DataFrame, *, first_seen: pl.DataFrame) -> pl.DataFrame:
    """Enter each account some weeks before it is first seen in `account, seen_at`."""
    earliest = first_seen.group_by("account").agg(pl.col("seen_at").min())
    lead_time = (rng.exponential(40, accounts.height) + 1) * SECONDS_A_DAY
    return (
        accounts.join(earliest, on="account", how="left", maintain_order="left")
        .with_columns(pl.col("seen_at").fill_null(pl.col("seen_at").min()) - pl.Series(lead_time).cast(pl.Int64))
        .with_columns(moments_of("seen_at").alias("created_at"))
    )


def moments_of(column: str) -> pl.Expr:
    """Turn a column of seconds since 1970 into UTC moments."""
    return (pl.col(column) * 1_000_000).cast(pl.Datetime("us", "UTC"))


def person_names(codes: Ints, in_chinese: Bools) -> pl.Series:
    """Give the person's name of each code, 0 to PERSON_NAMES - 1, in the language of its row."""
    surname, given = codes // len(w.GIVEN_ZH), codes % len(w.GIVEN_ZH)
    return pl.select(
        pl.when(pl.Series(in_chinese))
        .then(words(w.SURNAMES_ZH, surname) + words(w.GIVEN_ZH, given))
        .otherwise(words(w.GIVEN_EN, given) + " " + words(w.SURNAMES_EN, surname))
    ).to_series()


def draw_towns(rng: np.random.Generator, region: Ints) -> Ints:
    """Draw a town of each row's region."""
    return region * TOWNS_A_REGION + rng.integers(0, TOWNS_A_REGION, len(region))


def company_names(rng: np.random.Generator, *, region: Ints, towns: Ints, industry: Ints) -> pl.Series:
    """Draw a company's name for each row; names may repeat, as they do."""
    count = len(region)
    town = words([name for one in REGIONS for name, _ in one.towns], towns)
    first, second, form = rng.integers(0, 12, count), rng.integers(0, 12, count), choose(rng, (8, 1, 1), count)
    brand_zh = words(w.FIRST_SYLLABLES, first) + words(w.SECOND_SYLLABLES, second)
    brand_en = words(w.ADJECTIVES, first) + words(w.NOUNS, second)
    name_zh = town + brand_zh + words(w.INDUSTRY_WORDS_ZH, industry) + words(w.FORMS_ZH, form)
    name_en = brand_en + " " + words(w.INDUSTRY_WORDS_EN, industry) + " " + town + " " + words(w.FORMS_EN, form)
    return pl.select(pl.when(pl.Series(SPEAKS_CHINESE[region])).then(name_zh).otherwise(name_en)).to_series()


def campaign_at(seconds: Ints, workdays: Workdays) -> Ints:
    """Give the campaign that runs at each moment; negative before the first."""
    return (seconds // SECONDS_A_DAY - workdays.start_day) // CAMPAIGN_EVERY_DAYS


def _people(rng: np.random.Generator, founded: pl.Series) -> pl.DataFrame:
    team = np.repeat(np.arange(len(REGIONS)), SELLERS_A_TEAM)
    leads = np.arange(len(team)) % SELLERS_A_TEAM == 0
    numbers = np.arange(len(team))
    return pl.DataFrame(
        {
            "id": ids("U", numbers, digits=2),
            "created_at": founded.gather([0] * len(team)),
            "name": person_names(rng.permutation(PERSON_NAMES)[: len(team)], SPEAKS_CHINESE[team]),
            "email": words([f"u{number + 1:02}@flowmark.example" for number in range(len(team))], numbers),
            "team_id": words([f"T{number + 1}" for number in range(len(REGIONS))], team),
            "manager_id": with_gaps(ids("U", numbers - numbers % SELLERS_A_TEAM, digits=2), leads),
            "title": words(("Account executive", "Team lead"), leads.astype(np.int64)),
            "active": [True] * len(team),
        }
    )


def _campaigns(rng: np.random.Generator, workdays: Workdays) -> pl.DataFrame:
    count = -(-HISTORY_DAYS // CAMPAIGN_EVERY_DAYS)
    starts = workdays.start_day + np.arange(count) * CAMPAIGN_EVERY_DAYS
    kind = np.arange(count) % len(_CAMPAIGNS)
    return pl.DataFrame(
        {
            "id": ids("K", np.arange(count), digits=2),
            "created_at": moments((starts - 14) * SECONDS_A_DAY),
            "name": words([name for name, _ in _CAMPAIGNS], kind) + " " + days(starts).dt.strftime("%Y-%m"),
            "channel": words([channel for _, channel in _CAMPAIGNS], kind),
            "starts_on": days(starts),
            "ends_on": days(starts + CAMPAIGN_EVERY_DAYS - 1),
            "cost": rng.integers(40, 400, count) * 1000.0,
            "currency": [CURRENCY] * count,
        }
    )
