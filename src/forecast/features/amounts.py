"""The amount against what was usually won before: by all, and by those that share an owner, a product or an account."""

import polars as pl

from forecast.snapshot import Snapshot

USUAL_OF = ("owner_id", "product_id", "account_id", "account_industry")
PRIOR_ROWS = 10.0


def amount_features(snapshot: Snapshot) -> pl.DataFrame:
    """Give the amount divided by the usual amount won, one row a subject; missing where either is unknown or not above 0.

    Usual is the geometric mean of the amounts won that were known then; of a key, drawn to that of all as if by PRIOR_ROWS.
    """
    everything = snapshot.tally()
    priced = everything["priced_count"].replace(0.0, None)
    of_all = (everything["log_amount"] / priced).alias("of_all")
    amount = snapshot.rows.select(pl.when(pl.col("amount") > 0).then(pl.col("amount"))).to_series()
    found = [(amount / of_all.exp()).alias("amount_to_usual")]
    for key in USUAL_OF:
        own = snapshot.tally(key)
        usual = (own["log_amount"] + PRIOR_ROWS * of_all) / (own["priced_count"] + PRIOR_ROWS)
        found.append((amount / usual.exp()).alias(f"amount_to_{key.removesuffix('_id')}_usual"))
    return pl.DataFrame(found)
