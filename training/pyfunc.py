"""The model as MLflow loads it: this file is logged as code, so that nothing is unpickled."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from forecast.estimators.win import OCCASION_COLUMNS
from forecast.registry import read_version


class ScoreFeatures(PythonModel):
    """Predict from a feature frame, one row a subject; columns the version does not need are ignored."""

    def load_context(self, context: Any) -> None:
        """Read the version that was logged beside this code."""
        self.version = read_version(Path(context.artifacts["version"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.Series:  # noqa: ARG002
        """Give the probability of each row, 0-1."""
        needed = self.version.estimator.encoding
        features = pl.DataFrame(
            {
                **{
                    name: pl.Series(model_input[name].astype("float64").to_numpy(), nan_to_null=True)
                    for name in [*needed.numbers, *(set(OCCASION_COLUMNS) & set(model_input) - set(needed.numbers))]
                },
                **{
                    name: pl.Series(
                        [value if isinstance(value, str) else None for value in model_input[name]], dtype=pl.String
                    )
                    for name in needed.levels
                },
            }
        )
        return pd.Series(self.version.estimator.predict(features), index=model_input.index, name="probability")


set_model(ScoreFeatures())
