"""Probability of being won, and the share won that is served where nothing can be learnt."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import beta, norm, t

from forecast.estimators.encoding import INSTANT_DAYS, Encoding
from forecast.estimators.mix import Mix
from forecast.estimators.win_curve import WinCurve
from forecast.metrics import Floats

TREES_FILE = "model.txt"
OWN_TREES_FILE = "model-{occasion}.txt"
CURVE_FILE = "curve.txt"
INTERVAL_SHARE = 0.8
UPPER = (1 + INTERVAL_SHARE) / 2
WIDENED = 2.2
"""Found on three simulated companies, and held by three others: 78 to 86 % of true probabilities, 49 to 65 % without."""


@dataclass(frozen=True)
class Interval:
    """Probabilities with the ends of their ranges, each 0-1, one a row."""

    probability: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, kw_only=True)
class WinModel:
    """A fitted model of win probability.

    Looking at an opportunity the moment it is created, or the moment it enters a stage, is another thing than looking at it
    on any day: such occasions may have a mix of their own.

    Attributes:
        encoding: how features become a matrix.
        mix: what predicts on any day.
        own: what predicts on an occasion, by its name in OCCASIONS.
        curve: when opportunities end; missing where ends have no dates.
        level_error: root mean square, in log-odds, of how far the level was off on later rows.
    """

    kind: ClassVar[str] = "win"

    encoding: Encoding
    mix: Mix
    own: Mapping[str, Mix] = field(default_factory=lambda: MappingProxyType({}))
    curve: WinCurve | None = None
    level_error: float = 0.0

    def raised(self, by: float, *, error: float = 0.0) -> Self:
        """Give the model with all log-odds raised; `error` is the standard error of that, if it is greater than `level_error`."""
        return replace(
            self,
            mix=replace(self.mix, shift=self.mix.shift + by),
            own={name: replace(mix, shift=mix.shift + by) for name, mix in self.own.items()},
            level_error=max(self.level_error, error),
        )

    def log_odds(self, features: pl.DataFrame) -> Floats:
        """Give the calibrated log-odds of each row."""
        return self._log_odds(features, self.encoding.matrix(features))

    def predict(self, features: pl.DataFrame) -> Floats:
        """Give the probability of each row."""
        return np.asarray(expit(self.log_odds(features)))

    def predict_interval(self, features: pl.DataFrame) -> Interval:
        """Give the probability of each row, and the range that holds the true one INTERVAL_SHARE of the time.

        Two things make a probability uncertain: which opportunities happened to be learnt from (`Spread`), and where the
        level will go (`level_error`). WIDENED is for what neither shows: how much the penalties hold back.
        """
        matrix = self.encoding.matrix(features)
        middle, half = np.zeros(len(matrix)), np.zeros(len(matrix))
        for mix, rows in self.divided(features):
            middle[rows], spread = mix.log_odds_with_spread(matrix[rows])
            learnt = WIDENED * t.ppf(UPPER, spread.freedom) * spread.error
            half[rows] = np.hypot(learnt, norm.ppf(UPPER) * self.level_error)
        return Interval(*(np.asarray(expit(ends)) for ends in (middle, middle - half, middle + half)))

    def explain(self, features: pl.DataFrame) -> tuple[Floats, Floats]:
        """Give the probability of each row, and each feature's part of its calibrated log-odds.

        Parts have shape (rows, features + 1); the last is the bias.
        """
        matrix = self.encoding.matrix(features)
        parts = np.zeros((len(matrix), matrix.shape[1] + 1))
        for mix, rows in self.divided(features):
            parts[rows] = mix.contributions(matrix[rows])
        return np.asarray(expit(self._log_odds(features, matrix))), parts

    def _log_odds(self, features: pl.DataFrame, matrix: Floats) -> Floats:
        found = np.zeros(len(matrix))
        for mix, rows in self.divided(features):
            found[rows] = mix.log_odds(matrix[rows])
        return found

    def divided(self, features: pl.DataFrame) -> list[tuple[Mix, NDArray[np.bool_]]]:
        """List each mix with the rows that it predicts; every row is in one."""
        by_occasion = occasions(features)
        own = [(mix, by_occasion[name]) for name, mix in self.own.items()]
        return [(self.mix, ~np.any([np.zeros(features.height, bool), *(rows for _, rows in own)], axis=0)), *own]

    def to_json(self) -> dict[str, Any]:
        """Give everything but the trees as JSON values."""
        return {
            "encoding": self.encoding.to_json(),
            "mix": self.mix.to_json(),
            "own": {name: mix.to_json() for name, mix in self.own.items()},
            "curve": None if self.curve is None else self.curve.to_json(),
            "level_error": self.level_error,
        }

    def texts(self) -> dict[str, str]:
        """Give the trees in LightGBM's own text, by name of file."""
        mixes = {TREES_FILE: self.mix, **{OWN_TREES_FILE.format(occasion=name): mix for name, mix in self.own.items()}}
        curve = {} if self.curve is None else {CURVE_FILE: self.curve.text}
        return {name: mix.boosting.text for name, mix in mixes.items() if mix.boosting is not None} | curve

    @classmethod
    def from_json(cls, values: Mapping[str, Any], texts: Mapping[str, str]) -> Self:
        """Read what `to_json` and `texts` gave."""
        return cls(
            encoding=Encoding.from_json(values["encoding"]),
            mix=Mix.from_json(values["mix"], texts.get(TREES_FILE)),
            own={
                name: Mix.from_json(own, texts.get(OWN_TREES_FILE.format(occasion=name)))
                for name, own in values["own"].items()
            },
            curve=WinCurve.from_json(values["curve"], texts[CURVE_FILE]) if values["curve"] else None,
            level_error=values.get("level_error", 0.0),
        )


OCCASIONS = ("creation", "entry")
OCCASION_COLUMNS = ("age_days", "stage_days", "stage_change_count")


def occasions(features: pl.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Tell which rows look at their opportunity the moment it is created, and which the moment it enters a stage."""
    age, stage, moves = (
        pl.col(name) if name in features.columns else pl.lit(None, pl.Float64) for name in OCCASION_COLUMNS
    )
    found = features.with_columns(
        ((age <= INSTANT_DAYS) & (moves.fill_null(0) == 0)).fill_null(value=False).alias("creation"),
        ((stage <= INSTANT_DAYS) & (moves > 0)).fill_null(value=False).alias("entry"),
    )
    return {name: found[name].to_numpy() for name in OCCASIONS}


@dataclass(frozen=True, kw_only=True)
class GroupShares:
    """How the share won of a column's groups differs from that of all.

    Attributes:
        column: category of the groups.
        lifts: what each group adds in log-odds; one that is not named, or missing, adds nothing.
        rows: that each group's share rests on at most.
    """

    column: str
    lifts: Mapping[str, float]
    rows: Mapping[str, float]

    def of(self, features: pl.DataFrame) -> tuple[Floats, Floats]:
        """Give what each row's group adds in log-odds, and the rows that it rests on; of no group, endlessly many."""
        group = features[self.column].cast(pl.String)
        added = group.replace_strict(dict(self.lifts), default=0.0, return_dtype=pl.Float64).fill_null(0.0)
        rows = group.replace_strict(dict(self.rows), default=np.inf, return_dtype=pl.Float64).fill_null(np.inf)
        return added.to_numpy(), rows.to_numpy()


@dataclass(frozen=True, kw_only=True)
class PriorModel:
    """The share won of opportunities that reached the same age: what is served where the data carry no signal.

    Attributes:
        ages_days: lower bounds of the age bands, ascending.
        shares: share won in each band, 0-1.
        rows: that each share rests on, by weight; missing where that is not known.
        groups: what is told apart besides the age; missing where nothing is.
    """

    kind: ClassVar[str] = "prior"

    ages_days: tuple[float, ...]
    shares: tuple[float, ...]
    rows: tuple[float, ...] = ()
    groups: GroupShares | None = None

    def raised(self, by: float, *, error: float = 0.0) -> Self:
        """Give the shares raised in log-odds; each rests on no more rows than would leave it that standard error."""
        shares = expit(logit(np.array(self.shares)) + by)
        most = np.full(len(shares), np.inf) if error == 0 else 1 / (error**2 * shares * (1 - shares))
        rows = tuple(np.minimum(self.rows, most).tolist()) if self.rows else ()
        return replace(self, shares=tuple(shares.tolist()), rows=rows)

    @property
    def encoding(self) -> Encoding:
        """The age alone: what a group adds is no reason for or against one record."""
        return Encoding(numbers=("age_days",), levels={})

    def predict(self, features: pl.DataFrame) -> Floats:
        """Give the share of each row's age band, the first where the age is not known, in its group."""
        return self._shares(features)[0]

    def _shares(self, features: pl.DataFrame) -> tuple[Floats, Floats]:
        """Give the share of each row, and the rows that it rests on."""
        band = self._bands(features)
        shares, rows = np.array(self.shares)[band], np.array(self.rows or (0.0,) * len(self.shares))[band]
        if self.groups is None:
            return shares, rows
        added, most = self.groups.of(features)
        return np.asarray(expit(logit(shares) + added)), np.minimum(rows, most)

    def _bands(self, features: pl.DataFrame) -> NDArray[np.int64]:
        ages = features["age_days"].cast(pl.Float64).fill_null(self.ages_days[0]).to_numpy()
        return np.maximum(np.searchsorted(self.ages_days, ages, side="right") - 1, 0)

    def predict_interval(self, features: pl.DataFrame) -> Interval:
        """Give the share of each row, and the range that holds the true share of such records INTERVAL_SHARE of the time.

        Quantiles of the beta distribution that so many won and lost leave of it (Jeffreys). Of single records it says nothing.
        """
        shares, rows = self._shares(features)
        won, lost = rows * shares + 0.5, rows * (1 - shares) + 0.5
        low, high = np.minimum(beta.ppf(1 - UPPER, won, lost), shares), np.maximum(beta.ppf(UPPER, won, lost), shares)
        return Interval(shares, low, high)

    def explain(self, features: pl.DataFrame) -> tuple[Floats, Floats]:
        """Give the share of each row, and its log-odds as a bias alone, shape (rows, 2): nothing speaks for or against."""
        shares = self.predict(features)
        return shares, np.column_stack([np.zeros(len(shares)), logit(shares)])

    def to_json(self) -> dict[str, Any]:
        """Give the bands as JSON values."""
        bands = {"ages_days": list(self.ages_days), "shares": list(self.shares), "rows": list(self.rows)}
        return bands | {"groups": None if self.groups is None else asdict(self.groups)}

    def texts(self) -> dict[str, str]:
        """Give nothing: there are no trees."""
        return {}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], texts: Mapping[str, str]) -> Self:  # noqa: ARG003 - as all estimators
        """Read what `to_json` gave."""
        groups = values.get("groups")
        return cls(
            ages_days=tuple(values["ages_days"]),
            shares=tuple(values["shares"]),
            rows=tuple(values.get("rows", ())),
            groups=None if groups is None else GroupShares(**groups),
        )
