"""What a deal is won for, of what it stands at."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.cells import PERSON
from forecast.revenue.records import Sales
from forecast.snapshot.changes import as_known

# So many won deals' worth of the whole company's ratio goes into a person's.
RATIO_DEALS = 20.0
PRODUCT_DEALS = 5.0
RATIO_BOUND = 4.0
SPREAD_UNKNOWN = 0.2


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """What open deals bring when they are won.

    Attributes:
        mean: one a deal.
        spread: standard deviation of its logarithm.
    """

    mean: Floats
    spread: Floats


def expected_amounts(sales: Sales) -> Amounts:
    """Expect of each open deal what such deals were won for; of one without an amount, what its product is usually won for."""
    won = _won_deals(sales)
    open_deals = sales.open_deals
    usual = _usual_amounts(won, open_deals)
    ratio, spread = _ratios(won, open_deals)
    stated = open_deals["amount"].fill_null(float("nan")).to_numpy()
    known = np.nan_to_num(stated) > 0
    paid = won["paid"].drop_nulls().to_numpy()
    wide = float(np.std(np.log(paid[paid > 0]))) if (paid > 0).sum() > 2 else 1.0
    return Amounts(mean=np.where(known, stated * ratio, usual), spread=np.where(known, spread, wide))


def _won_deals(sales: Sales) -> pl.DataFrame:
    """List won deals with what they were won for, and what they stood at in the middle of their lives."""
    won = sales.deals.filter(pl.col("status") == "won", pl.col("closed_at").is_not_null())
    middle = pl.col("created_at") + (pl.col("closed_at") - pl.col("created_at")) / 2
    rows = won.select(pl.int_range(pl.len()).alias("row"), "opportunity_id", middle.alias("as_of"))
    amounts = sales.history.opportunities.select("opportunity_id", "amount")
    stood = as_known(rows, amounts, sales.history.changes, "opportunity_id")["amount"].cast(pl.Float64)
    return won.with_columns(pl.coalesce("won_amount", "amount").alias("paid"), stood.alias("stood"))


def _usual_amounts(won: pl.DataFrame, open_deals: pl.DataFrame) -> Floats:
    """Give the mean of what deals of the same product were won for, shrunk to the mean of all."""
    paid = won.drop_nulls("paid")
    every = float(paid["paid"].mean() or 0.0)  # type: ignore[arg-type]
    by_product = paid.group_by("product_id").agg(
        ((pl.col("paid").sum() + PRODUCT_DEALS * every) / (pl.len() + PRODUCT_DEALS)).alias("usual")
    )
    found = open_deals.select("product_id").join(by_product, on="product_id", how="left", maintain_order="left")
    return found["usual"].fill_null(every).to_numpy()


def _ratios(won: pl.DataFrame, open_deals: pl.DataFrame) -> tuple[Floats, float]:
    """Give for each open deal paid / stood of its person's won deals, shrunk to all, and how it varies by deal."""
    both = won.filter(pl.col("paid") > 0, pl.col("stood") > 0)
    if both.is_empty():
        return np.ones(open_deals.height), SPREAD_UNKNOWN
    every = float(both["paid"].sum()) / float(both["stood"].sum())
    unit = RATIO_DEALS * float(both["stood"].mean())  # type: ignore[arg-type]
    by_person = both.group_by(PERSON).agg(
        ((pl.col("paid").sum() + every * unit) / (pl.col("stood").sum() + unit)).alias("ratio")
    )
    found = open_deals.select(PERSON).join(by_person, on=PERSON, how="left", maintain_order="left")
    logs = np.log(np.clip((both["paid"] / both["stood"]).to_numpy(), 1 / RATIO_BOUND, RATIO_BOUND))
    return found["ratio"].fill_null(every).to_numpy(), float(logs.std())
