"""How often opportunities that share an owner, account, source, product or another value had been won before."""

import polars as pl

from forecast.features.plan import FeaturePlan
from forecast.snapshot import Snapshot

PRIOR_ROWS = 10.0
RATES = ("_win_lift", "_closed_share")


def rate_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give each key's as-of share won against the usual one, and its share of all closings, one row a subject.

    The share won is shrunk to that of all closings known then, and divided by it: (won / overall + k) / (closed + k), k =
    PRIOR_ROWS. How many had closed is given relative to all. Levels and counts themselves would tell the calendar.
    """
    everything = snapshot.tally()
    all_closed = everything["closed_count"].replace(0.0, None).alias("all_closed")
    overall = (everything["won_count"] / all_closed).replace(0.0, None).alias("overall")
    parts = []
    for key in plan.rates:
        lift = (pl.col("won_count") / pl.col("overall") + PRIOR_ROWS) / (pl.col("closed_count") + PRIOR_ROWS)
        named = key.removesuffix("_id")
        parts.append(
            snapshot.tally(key)
            .with_columns(overall, all_closed)
            .select(
                lift.alias(f"{named}{RATES[0]}"),
                (pl.col("closed_count") / pl.col("all_closed")).alias(f"{named}{RATES[1]}"),
            )
        )
    return pl.concat(parts, how="horizontal") if parts else pl.DataFrame()
