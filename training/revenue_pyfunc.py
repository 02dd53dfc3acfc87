"""The revenue forecast as MLflow loads it: this file is logged as code, so that nothing is unpickled."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from forecast.estimators.revenue import COMPANY
from forecast.registry import read_version


class BlendViews(PythonModel):
    """Blend the two views of the company's months: `ahead` (0 is the current month), `parts` and `series`."""

    def load_context(self, context: Any) -> None:
        """Read the version that was logged beside this code."""
        self.version = read_version(Path(context.artifacts["version"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.Series:  # noqa: ARG002
        """Give the blend of each row; the parts where there is no time series."""
        ahead = model_input["ahead"].astype(int)
        share = self.version.estimator.series_share(COMPANY, int(ahead.max()) + 1)[ahead.to_numpy()]
        series = model_input["series"].fillna(model_input["parts"])
        return pd.Series((1 - share) * model_input["parts"] + share * series, index=model_input.index, name="mean")


set_model(BlendViews())
