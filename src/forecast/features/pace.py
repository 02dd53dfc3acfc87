"""How long won opportunities had stayed in a row's stage."""

import polars as pl

from forecast.snapshot import Snapshot
from forecast.snapshot.stages import stages_then
from forecast.snapshot.stays import stay_key
from forecast.snapshot.tallies import sums_before

PRIOR_STAYS = 10.0
STAYS_MIN = 5


def usual_stay_days(snapshot: Snapshot) -> pl.Series:
    """Give the days that opportunities won before each row's moment had stayed in its stage, one row a subject.

    It is the mean of the logarithms of days and one more, drawn to the pipeline's usual days as if by PRIOR_STAYS; of a stage
    without usual days it is missing below STAYS_MIN stays. Always above 0.
    """
    rows = snapshot.rows.select("row", "as_of", stay_key())
    found = sums_before(rows, snapshot.stays.collect(), ("stay_count", "log_days")).with_columns(
        stages_then(snapshot.rows, snapshot.stages)["usual_days"].log1p().alias("usual")
    )
    drawn = (pl.col("log_days") + PRIOR_STAYS * pl.col("usual")) / (pl.col("stay_count") + PRIOR_STAYS)
    own = pl.when(pl.col("stay_count") >= STAYS_MIN).then(pl.col("log_days") / pl.col("stay_count"))
    usual = pl.coalesce(drawn, own).exp() - 1
    return found.select(pl.when(rows["key"].is_not_null(), usual > 0).then(usual).alias("usual_stay_days")).to_series()
