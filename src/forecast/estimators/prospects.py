"""What accounts that have not bought yet will buy within a horizon, from attributes, activity and open pipeline."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import polars as pl
from scipy.special import expit

from forecast.estimators.offset_glm import Correction
from forecast.estimators.value import Bands, Target, level_indicators
from forecast.features.prospects import PROSPECT_NUMBERS
from forecast.metrics import Floats

YEAR_DAYS = 365


@dataclass(frozen=True, kw_only=True)
class ProspectModel:
    """Fitted GLMs of first orders: log-odds of buying, logs of orders and revenue; a year's, shifted by the horizon's log.

    Attributes:
        horizon_days: that is predicted.
        unit: of sums, the company's mean value of a purchase day.
        levels: attribute and value of each indicator column, after PROSPECT_NUMBERS.
        models: by target.
        bands: of orders and revenue.
        basis: `own` where attributes and pipeline tell prospects apart; `prior` where all get what is usual.
    """

    horizon_days: int
    unit: float
    levels: tuple[tuple[str, str], ...]
    models: Mapping[Target, Correction]
    bands: Mapping[str, Bands] = field(default_factory=dict)
    basis: str = "own"

    def predict(self, features: pl.DataFrame) -> dict[Target, Floats]:
        """Give every target of each row of `prospect_features`."""
        matrix = prospect_matrix(features, self.unit, self.levels)
        shift = np.log(self.horizon_days / YEAR_DAYS)
        found = {target: model.shift(matrix) + shift for target, model in self.models.items()}
        return {
            "active": np.asarray(expit(found["active"])),
            "orders": np.exp(found["orders"]),
            "revenue": np.exp(found["revenue"]) * self.unit,
        }

    def to_json(self) -> dict[str, Any]:
        """Give the model as JSON values."""
        return {
            **asdict(self),
            "levels": [list(pair) for pair in self.levels],
            "models": {target: model.to_json() for target, model in self.models.items()},
            "bands": {name: asdict(bands) for name, bands in self.bands.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(
            horizon_days=values["horizon_days"],
            unit=values["unit"],
            levels=tuple((name, value) for name, value in values["levels"]),
            models={target: Correction.from_json(model) for target, model in values["models"].items()},
            bands={
                name: Bands(**{key: tuple(numbers) for key, numbers in bands.items()})
                for name, bands in values["bands"].items()
            },
            basis=values["basis"],
        )


def prospect_matrix(features: pl.DataFrame, unit: float, levels: tuple[tuple[str, str], ...]) -> Floats:
    """Give the logs of PROSPECT_NUMBERS, sums in units of `unit`, then the indicators."""
    scale = {"open_value": unit}
    numbers = [np.log1p(features[name].to_numpy() / scale.get(name, 1.0)) for name in PROSPECT_NUMBERS]
    return np.column_stack([*numbers, *level_indicators(features, levels)])
