"""What customers say after the sale: cases and feedback."""

import numpy as np
import polars as pl

from forecast.demo import words as w
from forecast.demo.columns import SECONDS_A_DAY, choose, ids, local_words, moments, spread_rows, with_gaps, words
from forecast.demo.customers import seconds_after_sale
from forecast.demo.market import SPEAKS_CHINESE, Market
from forecast.demo.products import MAIN_PRODUCTS
from forecast.demo.workdays import Workdays

_CASES = 2.0
_SURVEYS = 1.0


def draw_cases(rng: np.random.Generator, sales: pl.DataFrame, *, market: Market, workdays: Workdays) -> pl.DataFrame:
    """Draw the cases of customers, more where there is trouble, in order of time."""
    rows = spread_rows(rng.poisson(_CASES * sales["troubles"].to_numpy() * sales["lasts"].to_numpy()))
    opened = seconds_after_sale(rng, sales, rows, workdays=workdays)
    order = np.argsort(opened, kind="stable")
    rows, opened = rows[order], opened[order]
    kind = choose(rng, (0.5, 0.3, 0.2), len(rows))
    closed = opened + (rng.lognormal(1.0, 0.8, len(rows)) * SECONDS_A_DAY).astype(np.int64)
    still_open = closed >= workdays.until_seconds
    chinese = SPEAKS_CHINESE[sales["region"].to_numpy()[rows]]
    return pl.DataFrame(
        {
            "id": ids("C", np.arange(len(rows)), digits=6),
            "created_at": moments(opened),
            "account_id": ids("A", sales["account"].to_numpy()[rows], digits=5),
            "product_id": market.products["id"].gather(rng.integers(0, MAIN_PRODUCTS, len(rows))),
            "type": words(w.CASE_TYPES, kind),
            "subject": local_words(w.CASE_SUBJECTS_ZH, w.CASE_SUBJECTS_EN, codes=kind, in_chinese=chinese),
            "priority": words(("low", "normal", "high"), choose(rng, (0.3, 0.5, 0.2), len(rows))),
            "status": words(("closed", "open"), still_open.astype(np.int64)),
            "closed_at": with_gaps(moments(closed), still_open),
            "sale": rows,
        }
    )


def draw_feedback(
    rng: np.random.Generator, sales: pl.DataFrame, *, cases: pl.DataFrame, workdays: Workdays
) -> pl.DataFrame:
    """Draw answers to surveys and to closed cases, worse where there is trouble, in order of time."""
    surveyed = spread_rows(rng.poisson(_SURVEYS * sales["lasts"].to_numpy()))
    asked = seconds_after_sale(rng, sales, surveyed, workdays=workdays)
    closed = cases.filter(pl.col("closed_at").is_not_null()).sample(fraction=0.4, seed=int(rng.integers(2**31)))
    answered = pl.concat(
        [
            pl.DataFrame({"sale": surveyed, "created_at": moments(asked), "case_id": [None] * len(asked)}).cast(
                {"case_id": pl.String}
            ),
            closed.select("sale", pl.col("closed_at").alias("created_at"), pl.col("id").alias("case_id")),
        ]
    ).sort("created_at", "sale", "case_id")
    rows = answered["sale"].to_numpy()
    mood = 4.2 - 0.8 * sales["troubles"].to_numpy()[rows] + 0.3 * sales["loyalty"].to_numpy()[rows]
    satisfaction = np.clip(np.round(mood + rng.normal(0, 0.6, len(rows))), 1, 5)
    chinese = SPEAKS_CHINESE[sales["region"].to_numpy()[rows]]
    comment = local_words(w.COMMENTS_ZH, w.COMMENTS_EN, codes=satisfaction.astype(np.int64) - 1, in_chinese=chinese)
    return answered.select(
        ids("F", np.arange(len(rows)), digits=6),
        "created_at",
        ids("A", sales["account"].to_numpy()[rows], digits=5).alias("account_id"),
        "case_id",
        pl.Series("satisfaction", satisfaction),
        pl.lit("1-5").alias("scale"),
        with_gaps(comment, rng.random(len(rows)) < 0.4).alias("comment"),
    )
