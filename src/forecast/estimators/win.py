"""Probability of being won: trees and a logistic regression, mixed in log-odds and calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from scipy.special import expit, logit

from forecast.estimators.boosting import Boosting
from forecast.estimators.encoding import Encoding
from forecast.estimators.logistic import Logistic
from forecast.metrics import Floats

TREES_FILE = "model.txt"


@dataclass(frozen=True, kw_only=True)
class WinModel:
    """A fitted model of win probability.

    probability = sigmoid(slope * (share * trees + (1 - share) * logistic) + shift), in log-odds.

    Attributes:
        encoding: how features become a matrix.
        boosting: the trees; may be missing where `boosting_share` is 0.
        logistic: may be missing where `boosting_share` is 1.
        boosting_share: weight of the trees, 0-1.
        slope, shift: the calibration.
    """

    kind: ClassVar[str] = "win"

    encoding: Encoding
    boosting: Boosting | None
    logistic: Logistic | None
    boosting_share: float
    slope: float
    shift: float

    def log_odds(self, features: pl.DataFrame) -> Floats:
        """Give the calibrated log-odds of each row."""
        return self._log_odds(self.encoding.matrix(features))

    def predict(self, features: pl.DataFrame) -> Floats:
        """Give the probability of each row."""
        return np.asarray(expit(self.log_odds(features)))

    def explain(self, features: pl.DataFrame) -> tuple[Floats, Floats]:
        """Give the probability of each row, and each feature's part of its calibrated log-odds.

        Parts have shape (rows, features + 1); the last is the bias.
        """
        matrix = self.encoding.matrix(features)
        parts = np.zeros((len(matrix), len(self.encoding.features) + 1))
        for member, share in self._members():
            parts += share * self.slope * member.contributions(matrix)
        parts[:, -1] += self.shift
        return np.asarray(expit(self._log_odds(matrix))), parts

    def _log_odds(self, matrix: Floats) -> Floats:
        mixed = np.zeros(len(matrix))
        for member, share in self._members():
            mixed += share * member.log_odds(matrix)
        return self.slope * mixed + self.shift

    def _members(self) -> list[tuple[Boosting | Logistic, float]]:
        members = [(self.boosting, self.boosting_share), (self.logistic, 1 - self.boosting_share)]
        return [(member, share) for member, share in members if member is not None and share > 0]

    def to_json(self) -> dict[str, Any]:
        """Give all but the trees' text as JSON values."""
        return {
            "encoding": self.encoding.to_json(),
            "logistic": self.logistic.to_json() if self.logistic else None,
            "boosting_share": self.boosting_share,
            "slope": self.slope,
            "shift": self.shift,
        }

    def texts(self) -> dict[str, str]:
        """Give the trees in LightGBM's own text, by name of file."""
        return {TREES_FILE: self.boosting.text} if self.boosting is not None else {}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], texts: Mapping[str, str]) -> Self:
        """Read what `to_json` and `texts` gave."""
        return cls(
            encoding=Encoding.from_json(values["encoding"]),
            boosting=Boosting(texts[TREES_FILE]) if TREES_FILE in texts else None,
            logistic=Logistic.from_json(values["logistic"]) if values["logistic"] else None,
            boosting_share=values["boosting_share"],
            slope=values["slope"],
            shift=values["shift"],
        )


@dataclass(frozen=True, kw_only=True)
class PriorModel:
    """The share won of opportunities that reached the same age: what is served where the data carry no signal.

    Attributes:
        ages_days: lower bounds of the age bands, ascending.
        shares: share won in each band, 0-1.
    """

    kind: ClassVar[str] = "prior"

    ages_days: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def encoding(self) -> Encoding:
        """The age alone."""
        return Encoding(numbers=("age_days",), levels={})

    def predict(self, features: pl.DataFrame) -> Floats:
        """Give the share of each row's age band; the first where the age is not known."""
        ages = features["age_days"].cast(pl.Float64).fill_null(self.ages_days[0]).to_numpy()
        band = np.searchsorted(self.ages_days, ages, side="right") - 1
        return np.array(self.shares)[np.maximum(band, 0)]

    def explain(self, features: pl.DataFrame) -> tuple[Floats, Floats]:
        """Give the share of each row, and its log-odds as a bias alone, shape (rows, 2): nothing speaks for or against."""
        shares = self.predict(features)
        return shares, np.column_stack([np.zeros(len(shares)), logit(shares)])

    def to_json(self) -> dict[str, Any]:
        """Give the bands as JSON values."""
        return {"ages_days": list(self.ages_days), "shares": list(self.shares)}

    def texts(self) -> dict[str, str]:
        """Give nothing: there are no trees."""
        return {}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], texts: Mapping[str, str]) -> Self:  # noqa: ARG003 - as all estimators
        """Read what `to_json` gave."""
        return cls(ages_days=tuple(values["ages_days"]), shares=tuple(values["shares"]))
