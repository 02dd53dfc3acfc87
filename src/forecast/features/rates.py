"""How often opportunities that share an owner, account, source or product had been won before."""

import polars as pl

from forecast.features.plan import FeaturePlan
from forecast.snapshot import Snapshot

PRIOR_ROWS = 20.0


def rate_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give each key's as-of win share and count of closings, one row a subject.

    The share is shrunk to the share of all closings known then: (won + k * overall) / (closed + k), k = PRIOR_ROWS.
    """
    everything = snapshot.tally()
    overall = (everything["won_count"] / everything["closed_count"]).alias("overall")
    parts = []
    for key in plan.rates:
        shrunk = (pl.col("won_count") + PRIOR_ROWS * pl.col("overall")) / (pl.col("closed_count") + PRIOR_ROWS)
        named = key.removesuffix("_id")
        parts.append(
            snapshot.tally(key)
            .with_columns(overall)
            .select(
                shrunk.fill_nan(None).alias(f"{named}_win_share"),
                pl.col("closed_count").alias(f"{named}_closed_count"),
            )
        )
    return pl.concat(parts, how="horizontal") if parts else pl.DataFrame()
