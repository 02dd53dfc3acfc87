"""How often opportunities that share an owner, account, source or product had been won before."""

import polars as pl

from forecast.features.plan import FeaturePlan
from forecast.snapshot import Snapshot

PRIOR_ROWS = 20.0


def rate_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give each key's as-of share won and its share of all closings, one row a subject.

    The share won is shrunk to that of all closings known then: (won + k * overall) / (closed + k), k = PRIOR_ROWS. How
    many had closed is given relative to all: a mere count would tell the calendar.
    """
    everything = snapshot.tally()
    all_closed = everything["closed_count"].replace(0.0, None).alias("all_closed")
    overall = (everything["won_count"] / all_closed).alias("overall")
    parts = []
    for key in plan.rates:
        shrunk = (pl.col("won_count") + PRIOR_ROWS * pl.col("overall")) / (pl.col("closed_count") + PRIOR_ROWS)
        named = key.removesuffix("_id")
        parts.append(
            snapshot.tally(key)
            .with_columns(overall, all_closed)
            .select(
                shrunk.alias(f"{named}_win_share"),
                (pl.col("closed_count") / pl.col("all_closed")).alias(f"{named}_closed_share"),
            )
        )
    return pl.concat(parts, how="horizontal") if parts else pl.DataFrame()
