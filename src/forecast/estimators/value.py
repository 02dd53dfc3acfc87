"""What customers will buy within a horizon: BG/NBD and gamma-gamma, corrected by GLMs and trees on log features."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from scipy.special import expit, logit

from forecast.customers import ATTRIBUTES, EVENTS
from forecast.estimators.boosting import Boosting
from forecast.estimators.buying import BuyingRate, PurchaseValue
from forecast.estimators.encoding import Encoding
from forecast.estimators.offset_glm import Correction
from forecast.metrics import Floats

Target = Literal["active", "orders", "revenue"]

TARGETS: tuple[Target, ...] = ("active", "orders", "revenue")
BANDED: tuple[Target, ...] = ("orders", "revenue")
DAYS_A_WEEK = 7.0
NUMBERS = (
    "purchase_days", "spent", "returned_amount", "recency_days", "tenure_days", "mean_value", "last_value", "max_value",
    "gap_sd_days", "recent_purchases", "recent_spent", "half_purchases", "half_spent", "previous_purchases",
    "previous_spent", "season_purchases", "season_spent", *(f"{kind}_count" for kind in EVENTS),
    "product_count", "satisfaction", "open_wins",
)  # fmt: skip
SHAPES = (
    "rhythm", "value", "staying", "purchases", "recency_share", "overdue", "orders_trend", "half_trend", "spend_trend", "last_value",
    "largest_value", "tenure", "regularity", "season", "returns", *(f"{kind}_count" for kind in EVENTS),
    "breadth", "satisfaction", "open_wins",
)  # fmt: skip
LOGS = (
    "purchase_days", "recency_days", "tenure_days", "recent_purchases", "half_purchases", "previous_purchases", "season_purchases",
)  # fmt: skip
MONEY_LOGS = (
    "spent", "mean_value", "last_value", "max_value", "recent_spent", "half_spent", "season_spent", "returned_amount",
)  # fmt: skip
PLAIN_SHAPES = (
    "purchases", "recency_share", "tenure", "orders_trend", "half_trend", "orders_trend", "season",
    "value", "value", "last_value", "largest_value", "spend_trend", "spend_trend", "season", "returns", "purchases",
)  # fmt: skip
"""The shape that tells of the same, of each column of `log_matrix`."""

_CENTRED = ("rhythm", "value")
PLAIN_SHARE = 1 / 2
PLAIN_PREFIX = "plain_"
_RATE_MIN = 1e-6
_TINY = 1e-2
_SATISFACTION_UNKNOWN = 0.75


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the buying rate and the purchase value alone say; the level is the company's mean value of a purchase day."""

    rate: BuyingRate
    value: PurchaseValue
    level: float

    def predict(self, features: pl.DataFrame, *, horizon_days: int) -> dict[Target, Floats]:
        """Give what is corrected: orders, revenue, and the probability of buying that follows from the orders alone.

        `active` knows better how many leave for good, but tells customers apart less well.
        """
        given = _rate_inputs(features)
        weeks = horizon_days / DAYS_A_WEEK
        orders = np.maximum(self.rate.expected(*given, weeks=weeks), _RATE_MIN)
        value = self.value.expected(_floats(features, "purchase_days"), _floats(features, "mean_value"))
        return {
            "active": np.clip(-np.expm1(-orders), _RATE_MIN, 1 - _RATE_MIN),
            "orders": orders,
            "revenue": orders * np.maximum(value, self.level * _TINY),
        }

    def active(self, features: pl.DataFrame, *, horizon_days: int) -> Floats:
        """Give the probability of buying within the horizon."""
        found = self.rate.active(*_rate_inputs(features), weeks=horizon_days / DAYS_A_WEEK)
        return np.clip(found, _RATE_MIN, 1 - _RATE_MIN)

    def alive(self, features: pl.DataFrame) -> Floats:
        """Give the probability that a customer has not left for good."""
        return self.rate.alive(*_rate_inputs(features))


@dataclass(frozen=True, kw_only=True)
class Bands:
    """80 % intervals of what was held out: quantiles of actual over predicted, by rank of the prediction.

    Attributes:
        edges: predictions between the bands, ascending; one less than `low` and `high`.
        low, middle, high: factors of the prediction; the middle is the median, which is 0 where most buy nothing.
    """

    edges: tuple[float, ...] = ()
    low: tuple[float, ...] = (0.0,)
    middle: tuple[float, ...] = ()
    high: tuple[float, ...] = (3.0,)

    def around(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Give the lower and upper bound of each prediction."""
        band = np.searchsorted(self.edges, predicted, side="right")
        return predicted * np.array(self.low)[band], predicted * np.array(self.high)[band]

    def median(self, predicted: Floats) -> Floats:
        """Give the median that belongs to each mean; the mean itself where nothing was held out."""
        if not self.middle:
            return predicted
        return np.asarray(predicted * np.array(self.middle)[np.searchsorted(self.edges, predicted, side="right")])


@dataclass(frozen=True, kw_only=True)
class ValueModel:
    """A fitted model of customers' value within `horizon_days`.

    In the linear predictor of each target: baseline + (1 - tree_share) * GLM + tree_share * trees. A GLM on LOGS that
    starts from no baseline, and tree_share of the trees upon it, have PLAIN_SHARE of being active, and `plain_share` of
    revenue: they do well where buying rates fit badly.

    Attributes:
        levels: attribute and value of each indicator column, after the SHAPES.
        plain, plain_trees: what starts from no baseline, of being active and of revenue; earlier versions have no such trees.
        corrections, trees: by target; empty where only the baseline is served.
        bands: of orders and revenue.
    """

    kind: ClassVar[str] = "customer_value"

    baseline: Baseline
    horizon_days: int
    levels: tuple[tuple[str, str], ...] = ()
    corrections: Mapping[Target, Correction] = field(default_factory=dict)
    trees: Mapping[Target, Boosting] = field(default_factory=dict)
    plain: Mapping[Target, Correction] = field(default_factory=dict)
    plain_trees: Mapping[Target, Boosting] = field(default_factory=dict)
    tree_share: float = 0.0
    plain_share: float = 0.0
    bands: Mapping[str, Bands] = field(default_factory=dict)

    @property
    def encoding(self) -> Encoding:
        """The columns that are needed."""
        return Encoding(numbers=NUMBERS, levels=dict.fromkeys([*ATTRIBUTES, *(name for name, _ in self.levels)], ()))

    def predict(self, features: pl.DataFrame) -> Floats:
        """Give the expected revenue of each row of features."""
        return self.predict_all(features)["revenue"]

    def predict_all(self, features: pl.DataFrame) -> dict[Target, Floats]:
        """Give every target of each row of features."""
        given = self.baseline.predict(features, horizon_days=self.horizon_days)
        if not self.corrections:
            return given | {"active": self.baseline.active(features, horizon_days=self.horizon_days)}
        matrix = shape_matrix(features, self.baseline, self.horizon_days, self.levels)
        found = {target: corrected(target, given[target], self._shift(target, matrix)) for target in TARGETS}
        logs = log_matrix(features, self.baseline.level)
        for target, share in self._plain_shares.items():
            found[target] = _blended(target, found[target], self._plain_shift(target, logs), share)
        return found

    @property
    def _plain_shares(self) -> dict[Target, float]:
        shares: dict[Target, float] = {"active": PLAIN_SHARE, "revenue": self.plain_share}
        return {target: share for target, share in shares.items() if share and target in self.plain}

    def _shift(self, target: Target, matrix: Floats) -> Floats:
        shift = (1 - self.tree_share) * self.corrections[target].shift(matrix)
        if self.tree_share:
            shift = shift + self.tree_share * self.trees[target].log_odds(matrix)
        return np.asarray(shift)

    def _plain_shift(self, target: Target, logs: Floats) -> Floats:
        shift = self.plain[target].shift(logs)
        if self.plain_trees:
            shift = shift + self.tree_share * self.plain_trees[target].log_odds(logs)
        return np.asarray(shift)

    def middle(self, features: pl.DataFrame) -> dict[str, float]:
        """Give the rhythm and the value of a customer in the middle, as `explain` takes them."""
        matrix = shape_matrix(features, self.baseline, self.horizon_days, ())
        return {name: float(np.median(matrix[:, SHAPES.index(name)])) for name in _CENTRED}

    def explain(self, features: pl.DataFrame, middle: Mapping[str, float] | None = None) -> Floats:
        """Give each shape's part of the log of expected revenue, against a customer in the middle; as many columns as SHAPES.

        Trees count with their TreeSHAP contributions; attributes are left out. `middle` is that of these customers, unless given.
        """
        matrix = shape_matrix(features, self.baseline, self.horizon_days, self.levels)
        parts = np.zeros((len(matrix), len(SHAPES)))
        if self.corrections:
            parts += (1 - self.tree_share) * self.corrections["revenue"].parts(matrix)[:, : len(SHAPES)]
        if self.tree_share:
            parts += self.tree_share * self.trees["revenue"].contributions(matrix)[:, : len(SHAPES)]
        usual = self.middle(features) if middle is None else middle
        for name in _CENTRED:
            column = SHAPES.index(name)
            parts[:, column] += matrix[:, column] - usual[name]
        share = self._plain_shares.get("revenue", 0.0)
        return (1 - share) * parts + share * self._plain_parts(features) if share else parts

    def _plain_parts(self, features: pl.DataFrame) -> Floats:
        """Give the part of what starts from no baseline in the log of revenue, by the shape that tells of the same."""
        logs = log_matrix(features, self.baseline.level)
        own = self.plain["revenue"].parts(logs)
        if self.plain_trees:
            own = own + self.tree_share * self.plain_trees["revenue"].contributions(logs)[:, :-1]
        parts = np.zeros((len(own), len(SHAPES)))
        for column, shape in enumerate(PLAIN_SHAPES):
            parts[:, SHAPES.index(shape)] += own[:, column]
        return parts

    def intervals(self, target: Target, predicted: Floats) -> tuple[Floats, Floats]:
        """Give the 80 % interval of each prediction."""
        return self.bands.get(target, Bands()).around(predicted)

    def to_json(self) -> dict[str, Any]:
        """Give all but the trees' text as JSON values."""
        return {
            "rate": self.baseline.rate.to_json(),
            "value": self.baseline.value.to_json(),
            "level": self.baseline.level,
            "horizon_days": self.horizon_days,
            "levels": [list(pair) for pair in self.levels],
            "corrections": {target: fitted.to_json() for target, fitted in self.corrections.items()},
            "plain": {target: fitted.to_json() for target, fitted in self.plain.items()},
            "tree_share": self.tree_share,
            "plain_share": self.plain_share,
            "bands": {name: asdict(bands) for name, bands in self.bands.items()},
        }

    def texts(self) -> dict[str, str]:
        """Give the trees of each target in LightGBM's own text, by name of file."""
        return {
            **{f"{target}.txt": trees.text for target, trees in self.trees.items()},
            **{f"{PLAIN_PREFIX}{target}.txt": trees.text for target, trees in self.plain_trees.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], texts: Mapping[str, str]) -> Self:
        """Read what `to_json` and `texts` gave."""
        return cls(
            baseline=Baseline(
                rate=BuyingRate.from_json(values["rate"]),
                value=PurchaseValue.from_json(values["value"]),
                level=values["level"],
            ),
            horizon_days=values["horizon_days"],
            levels=tuple((name, value) for name, value in values["levels"]),
            corrections={name: Correction.from_json(fitted) for name, fitted in values["corrections"].items()},
            trees=_read_trees(texts, ""),
            plain={name: Correction.from_json(fitted) for name, fitted in values["plain"].items()},
            plain_trees=_read_trees(texts, PLAIN_PREFIX),
            tree_share=values["tree_share"],
            plain_share=values["plain_share"],
            bands={
                name: Bands(**{key: tuple(numbers) for key, numbers in bands.items()})
                for name, bands in values["bands"].items()
            },
        )


def _read_trees(texts: Mapping[str, str], prefix: str) -> dict[Target, Boosting]:
    names: dict[Target, str] = {target: f"{prefix}{target}.txt" for target in TARGETS}
    return {target: Boosting(texts[name]) for target, name in names.items() if name in texts}


def linear(target: Target, predicted: Floats) -> Floats:
    """Give the linear predictor of a prediction: log-odds of being active, else the log."""
    return np.asarray(logit(predicted) if target == "active" else np.log(predicted))


def corrected(target: Target, predicted: Floats, shift: Floats) -> Floats:
    """Shift a prediction in its linear predictor."""
    moved = linear(target, predicted) + shift
    return np.asarray(expit(moved) if target == "active" else np.exp(np.minimum(moved, 50.0)))


def _blended(target: Target, predicted: Floats, plain: Floats, share: float) -> Floats:
    """Give a linear predictor of its own its share in a prediction."""
    room = np.clip(predicted, _RATE_MIN, 1 - _RATE_MIN) if target == "active" else np.maximum(predicted, 1e-12)
    return corrected(target, room, share * (np.clip(plain, -50.0, 50.0) - linear(target, room)))


def shape_matrix(
    features: pl.DataFrame,
    baseline: Baseline,
    horizon_days: int,
    levels: Sequence[tuple[str, str]],
) -> Floats:
    """Give the SHAPES of each customer, free of unit and horizon as far as can be, then indicators of attributes."""
    shapes = _shapes(features, baseline, horizon_days)
    return np.column_stack([*(shapes[name] for name in SHAPES), *level_indicators(features, levels)])


def level_indicators(features: pl.DataFrame, levels: Sequence[tuple[str, str]]) -> list[Floats]:
    """Tell of each level which rows have it; a custom field that is no longer there has none."""
    return [
        (features[name] == value).fill_null(value=False).cast(pl.Float64).to_numpy()
        if name in features.columns
        else np.zeros(features.height)
        for name, value in levels
    ]


def log_matrix(features: pl.DataFrame, level: float) -> Floats:
    """Give the logs of counts and days, then of sums in units of `level`, of each customer."""
    sums = [np.maximum(np.nan_to_num(_floats(features, name)), 0.0) / level for name in MONEY_LOGS]
    once = (_floats(features, "purchase_days") == 1).astype(np.float64)
    return np.column_stack([*(np.log1p(part) for part in [*(_floats(features, name) for name in LOGS), *sums]), once])


def _shapes(features: pl.DataFrame, baseline: Baseline, horizon_days: int) -> dict[str, Floats]:
    given, level = baseline.predict(features, horizon_days=horizon_days), baseline.level
    count, spent = _floats(features, "purchase_days"), _floats(features, "spent")
    recency, tenure = _floats(features, "recency_days") + 1, _floats(features, "tenure_days") + 1
    mean = np.maximum(_floats(features, "mean_value"), 0.0)
    products = _floats(features, "product_count")
    gap = np.maximum((tenure - recency) / np.maximum(count - 1, 1), 1.0)
    seen, seen_half = (np.minimum(1.0, part * horizon_days / tenure) for part in (1.0, 0.5))
    a_year_ago = tenure > 365
    season = np.log((_floats(features, "season_purchases") + 1) / (count * seen + 1))
    return {
        "rhythm": np.log(given["orders"]),
        "value": np.log(given["revenue"] / given["orders"] / level),
        "staying": np.log(np.maximum(baseline.alive(features), _TINY)),
        "purchases": np.log(count),
        "recency_share": np.log(recency / tenure),
        "overdue": np.where(count > 1, np.log(recency / gap), 0.0),
        "orders_trend": np.log((_floats(features, "recent_purchases") + 1) / (count * seen + 1)),
        "half_trend": np.log((_floats(features, "half_purchases") + 1) / (count * seen_half + 1)),
        "spend_trend": np.log((_floats(features, "recent_spent") + level) / (spent * seen + level)),
        "last_value": np.log((_floats(features, "last_value") + level) / (mean + level)),
        "largest_value": np.log((_floats(features, "max_value") + level) / (mean + level)),
        "tenure": np.log(tenure / horizon_days),
        "regularity": np.where(count > 2, np.nan_to_num(_floats(features, "gap_sd_days")) / gap, 0.0),
        "season": np.where(a_year_ago, season, 0.0),
        "returns": np.log1p(_floats(features, "returned_amount") / level),
        **{f"{kind}_count": np.log1p(_floats(features, f"{kind}_count")) for kind in EVENTS},
        "breadth": np.where(products > 0, np.log((products + 1) / (count + 1)), 0.0),
        "satisfaction": np.nan_to_num(_floats(features, "satisfaction"), nan=_SATISFACTION_UNKNOWN),
        "open_wins": np.log1p(_floats(features, "open_wins")),
    }


def _rate_inputs(features: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Give repeats, and in weeks the age at the last purchase and the age."""
    age = _floats(features, "tenure_days")
    last = age - _floats(features, "recency_days")
    return _floats(features, "purchase_days") - 1, last / DAYS_A_WEEK, age / DAYS_A_WEEK


def _floats(features: pl.DataFrame, name: str) -> Floats:
    return features[name].cast(pl.Float64).to_numpy()
