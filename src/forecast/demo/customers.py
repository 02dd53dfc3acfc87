"""What customers buy: the orders of won opportunities, and repeat orders."""

import numpy as np
import polars as pl

from forecast.demo.columns import SECONDS_A_DAY, Ints, ids, spread_rows, with_gaps, words
from forecast.demo.market import CURRENCY, Market, moments_of
from forecast.demo.products import MAIN_PRODUCTS
from forecast.demo.workdays import Workdays

ORDER_COLUMNS = (
    *("id", "created_at", "account_id", "opportunity_id", "owner_id", "ordered_at", "amount", "cost", "quantity"),
    *("currency", "region", "channel", "status"),
)

_REPEAT_ORDERS = 5.0
_OLD_SALES_SHARE = 0.1
_STAYS_SHARE = 0.35


def draw_sales(
    rng: np.random.Generator, drawn: pl.DataFrame, *, accounts: pl.DataFrame, workdays: Workdays
) -> pl.DataFrame:
    """Draw what follows from sales: one row a won opportunity, and one a sale before the history to an old customer.

    The customer stays active for a while: in `begins` to `begins + lasts`, shares of the history's business. Loyal
    customers stay longer and buy more, those with troubles less.
    """
    sold = drawn.filter(pl.col("won") & (pl.col("closed_seconds") < workdays.until_seconds))
    old = accounts.filter("old_customer")
    bought = old[rng.integers(0, old.height, round(drawn.height * _OLD_SALES_SHARE))]
    account = np.append(sold["account"].to_numpy(), bought["account"].to_numpy())
    since = workdays.business_before(sold["region"].to_numpy(), sold["closed"].to_numpy())
    begins = np.append(since, np.zeros(bought.height))
    troubles = rng.gamma(1.5, 0.7, accounts.height)
    loyalty = rng.gamma(1.5, 0.7, accounts.height) * np.exp(-0.4 * (troubles - 1))
    stays = rng.exponential(_STAYS_SHARE, len(account)) * np.sqrt(loyalty[account])
    return pl.DataFrame(
        {
            "account": account,
            "region": accounts["region_code"].to_numpy()[account],
            "begins": begins,
            "lasts": np.minimum(stays, 1 - begins),
            "loyalty": loyalty[account],
            "troubles": troubles[account],
        }
    )


def draw_orders(
    rng: np.random.Generator, drawn: pl.DataFrame, sales: pl.DataFrame, *, market: Market, workdays: Workdays
) -> pl.DataFrame:
    """Draw the orders of won opportunities and repeat orders, in order of time, with the product of their first line."""
    firsts = _orders_of_opportunities(rng, drawn, workdays)
    repeats = _repeat_orders(rng, sales, market=market, workdays=workdays)
    return describe_orders(rng, pl.concat([firsts, repeats]), market=market, first=0, workdays=workdays)


def describe_orders(
    rng: np.random.Generator, placed: pl.DataFrame, *, market: Market, first: int, workdays: Workdays
) -> pl.DataFrame:
    """Write orders that were placed within the history, in order of time, with ids from number `first` on.

    `placed` has `account, opportunity, owner, product, amount, seconds`, -1 where there is none.
    """
    within = placed.filter(pl.col("seconds") < workdays.until_seconds)
    orders = within.sort("seconds", maintain_order=True)
    sales_of = orders["opportunity"].to_numpy()
    codes, products = orders["account"].to_numpy(), orders["product"].to_numpy()
    owner = market.accounts["owner"].to_numpy()[codes]
    cost_share = (market.products["unit_cost"] / market.products["list_price"]).to_numpy()[products]
    cost = orders["amount"].to_numpy() * cost_share * np.exp(rng.normal(0.05, 0.08, orders.height))
    age_days = (workdays.until_seconds - orders["seconds"].to_numpy()) // SECONDS_A_DAY
    price = market.products["list_price"].to_numpy()[products]
    return orders.with_columns(
        ids("R", first + np.arange(orders.height), digits=6),
        moments_of("seconds").alias("created_at"),
        moments_of("seconds").alias("ordered_at"),
        market.accounts["id"].gather(codes).alias("account_id"),
        with_gaps(ids("O", sales_of, digits=7), sales_of < 0).alias("opportunity_id"),
        ids("U", np.where(sales_of >= 0, orders["owner"].to_numpy(), owner), digits=2).alias("owner_id"),
        pl.Series("cost", np.round(cost, 2)),
        pl.Series("quantity", np.maximum(1.0, np.round(orders["amount"].to_numpy() / price))),
        pl.lit(CURRENCY).alias("currency"),
        market.accounts["region"].gather(codes).alias("region"),
        market.accounts["channel"].gather(codes).alias("channel"),
        words(("completed", "in delivery"), (age_days < 21).astype(np.int64)).alias("status"),
    )


def _orders_of_opportunities(rng: np.random.Generator, drawn: pl.DataFrame, workdays: Workdays) -> pl.DataFrame:
    sold = drawn.filter("won")
    ordered = sold["closed"].to_numpy() + rng.exponential(1.0, sold.height)
    return sold.select(
        "account",
        "opportunity",
        pl.col("owner_now").alias("owner"),
        "product",
        pl.col("final_amount").alias("amount"),
        pl.Series("seconds", workdays.seconds(sold["region"].to_numpy(), ordered)),
    )


def _repeat_orders(
    rng: np.random.Generator, sales: pl.DataFrame, *, market: Market, workdays: Workdays
) -> pl.DataFrame:
    counts = rng.poisson(_REPEAT_ORDERS * sales["loyalty"].to_numpy() * sales["lasts"].to_numpy())
    rows = spread_rows(counts)
    account = sales["account"].to_numpy()[rows]
    product = rng.integers(0, MAIN_PRODUCTS, len(rows))
    typical = (
        market.products["list_price"].to_numpy()[product]
        * np.array([1, 2, 4, 7])[market.accounts["size_code"].to_numpy()[account]]
    )
    return pl.DataFrame(
        {
            "account": account,
            "opportunity": np.full(len(rows), -1),
            "owner": np.full(len(rows), -1),
            "product": product,
            "amount": np.round(typical * rng.lognormal(0, 0.4, len(rows)), -2),
            "seconds": seconds_after_sale(rng, sales, rows, workdays=workdays),
        }
    )


def seconds_after_sale(rng: np.random.Generator, sales: pl.DataFrame, rows: Ints, *, workdays: Workdays) -> Ints:
    """Draw a moment while each row's customer is active, likelier when there is more business."""
    region = sales["region"].to_numpy()[rows]
    share = sales["begins"].to_numpy()[rows] + sales["lasts"].to_numpy()[rows] * rng.random(len(rows))
    return workdays.seconds(region, workdays.worked_at(region, share, rng=rng))
