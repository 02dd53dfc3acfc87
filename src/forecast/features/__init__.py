"""Features: a snapshot in, one row a subject out; the same function for training and for scoring."""

import polars as pl

from forecast.features.account import account_features
from forecast.features.activity import activity_features
from forecast.features.amounts import amount_features
from forecast.features.attributes import attribute_features
from forecast.features.plan import FeaturePlan, plan_features
from forecast.features.quotes import quote_features
from forecast.features.rates import rate_features
from forecast.features.timing import movement_features, stage_features, timing_features
from forecast.snapshot import Snapshot

__all__ = ["FeaturePlan", "opportunity_features", "plan_features"]


def opportunity_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Compute all features of a snapshot.

    Returns:
        `opportunity_id, as_of` and one column a feature, rows in the order of the snapshot: text for categories, float64
        for the rest, missing where unknown. Same snapshot and plan, same frame, bit for bit.
    """
    return pl.concat(
        [
            snapshot.rows.select("opportunity_id", "as_of"),
            attribute_features(snapshot, plan),
            timing_features(snapshot),
            stage_features(snapshot, plan),
            movement_features(snapshot),
            activity_features(snapshot, plan),
            quote_features(snapshot),
            account_features(snapshot),
            amount_features(snapshot),
            rate_features(snapshot, plan),
        ],
        how="horizontal",
    )
