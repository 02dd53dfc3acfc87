"""Feature frames with a known truth, and models fitted on them."""

import numpy as np
import polars as pl
from scipy.special import expit

from forecast.estimators.boosting import Boosting, fit_boosting, training_set
from forecast.estimators.calibration import Calibration
from forecast.estimators.encoding import fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.estimators.mix import Mix
from forecast.estimators.win import WinModel

PARAMETERS = {"num_leaves": 6, "min_data_in_leaf": 10, "learning_rate": 0.1}


def frame(seed=1, count=600):
    """Draw features: two numbers with missing values, two categories whose names are not in the order of columns."""
    draw = np.random.default_rng(seed)
    size = draw.normal(0, 2, count)
    return pl.DataFrame(
        {
            "opportunity_id": [f"o{row}" for row in range(count)],
            "source": draw.choice(["网络", "展会", "call", None], count),
            "age_days": np.where(draw.random(count) < 0.1, np.nan, draw.exponential(30, count)),
            "channel": draw.choice(["direct", "partner"], count, p=[0.8, 0.2]),
            "size": size,
            "always": np.ones(count),
            "stage_days": np.full(count, 5.0),
            "stage_change_count": np.ones(count),
        }
    ).with_columns(pl.col("age_days").fill_nan(None))


def outcomes(features, seed=2):
    """Draw outcomes that follow size and channel."""
    draw = np.random.default_rng(seed)
    log_odds = 0.8 * features["size"].to_numpy() + 1.5 * (features["channel"] == "partner").to_numpy() - 0.3
    return (draw.random(len(log_odds)) < expit(log_odds)).astype(float)


def fit_win(features, won, share=0.6):
    """Fit trees and logistic regression and mix them."""
    encoding = fit_encoding(features)
    matrix, weight = encoding.matrix(features), np.ones(len(won))
    boosting = Boosting.of(fit_boosting(training_set(encoding, matrix, won, weight), PARAMETERS, 40, 5))
    return WinModel(
        encoding=encoding,
        mix=Mix(
            boosting=boosting,
            logistic=fit_logistic(encoding, matrix, won, weight, 3.0),
            boosting_share=share,
            calibration=Calibration(kind="sigmoid", at=(-30.0, 30.0), to=(-36.0, 36.0)),
            shift=-0.1,
        ),
    )
