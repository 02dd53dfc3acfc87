"""From a recipe to a fitted model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from forecast.estimators.boosting import Boosting, column_rules, fit_boosting, training_set
from forecast.estimators.calibration import CALIBRATORS, NOT_CALIBRATED, Calibration, calibrators_for
from forecast.estimators.encoding import Encoding, fit_encoding
from forecast.estimators.logistic import Logistic, fit_logistic
from forecast.estimators.mix import PARTS, AgeLevel, Mix
from forecast.estimators.symmetric import Rows, fit_symmetric
from forecast.estimators.win import WinModel, occasions
from forecast.metrics import Floats, level_shift, log_losses
from forecast.moments import MICROSECONDS_A_DAY
from training.dataset import Dataset, Lesson, thinned
from training.folds import Fold
from training.levels import level_now
from training.prior import PRIOR_ROWS

CALIBRATION_SHARE = 2 / 3
CLEARLY = 2.0
"""Standard errors: many choices are tried, and one error would be found by chance in every sixth."""
ROWS_ENOUGH = 200_000
"""More rows tell a leak or a straight line no better."""
LEVEL_ROWS_ENOUGH = 60_000
"""More rows tell a level no better: with some hundred outcomes a week it is off by less than a tenth in log-odds."""
MEMBERS_MIN = 3


@dataclass(frozen=True, kw_only=True)
class Trees:
    """One ensemble of trees: LightGBM's parameters, which symmetric trees have none of, and the number of trees."""

    parameters: Mapping[str, Any]
    rounds: int
    shape: Literal["leafwise", "symmetric"] = "leafwise"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that the search decided.

    Attributes:
        trees: ensembles whose log-odds are averaged, each fitted with a seed of its own and, where there are at least three,
            without a part of the opportunities of its own (`parts_kept`).
        rarer_count: rows of the rarer outcome in the fits that the numbers of trees were chosen on; missing where they hold
            for any.
        penalty: of the logistic regression, in rows.
        boosting_share: weight of the trees in the mix, 0-1.
        own_shares: likewise in the mixes of occasions, by name.
        half_life_days: age at which a row teaches half as much as the newest; missing where all count alike.
        level_ages_days: age bands that have a level of their own; missing where all have one.
        left_out: features that the guard named, or that did not pay.
        line_only: features that the logistic regression sees and the trees don't.
        monotone: features in which the log-odds may only rise (1) or fall (-1).
        seed: of every random choice.
    """

    trees: tuple[Trees, ...]
    rarer_count: float | None = None
    penalty: float
    boosting_share: float
    own_shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    half_life_days: float | None = None
    level_ages_days: tuple[float, ...] | None = None
    left_out: frozenset[str]
    line_only: frozenset[str] = frozenset()
    monotone: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    seed: int


def only_logistic(recipe: Recipe) -> Recipe:
    """Give the recipe without its trees."""
    return replace(recipe, boosting_share=0.0, own_shares=dict.fromkeys(recipe.own_shares, 0.0))


def faded(dataset: Dataset, lesson: Lesson, half_life_days: float | None) -> Lesson:
    """Let rows count less the older they are, by half for each half-life; the mean weight stays."""
    if half_life_days is None or not dataset.dated:
        return lesson
    moments = dataset.keys["as_of"].dt.epoch("us").to_numpy() / MICROSECONDS_A_DAY
    weight = lesson.weight * 0.5 ** ((moments[lesson.used].max() - moments) / half_life_days)
    scale = lesson.weight[lesson.used].mean() / weight[lesson.used].mean()
    return Lesson(won=lesson.won, weight=np.where(lesson.used, weight * scale, 0.0))


def fit_recipe(dataset: Dataset, lesson: Lesson, recipe: Recipe) -> WinModel:
    """Fit all members on a lesson; not calibrated yet."""
    lesson = faded(dataset, lesson, recipe.half_life_days)
    rows = dataset.features.filter(lesson.used)
    won, weight = lesson.won[lesson.used], lesson.weight[lesson.used]
    encoding = fit_encoding(rows, recipe.left_out)
    matrix = encoding.matrix(rows)
    named = occasions(rows)
    any_day = ~named["entry"] if "entry" in recipe.own_shares else np.ones(len(won), bool)
    groups = dataset.groups[lesson.used]

    def fitted(taught: NDArray[np.bool_], share: float) -> Mix:
        sample = Sample(encoding, matrix[taught], won[taught], weight[taught], groups[taught])
        return _fit_mix(sample, replace(recipe, boosting_share=share))

    return WinModel(
        encoding=encoding,
        mix=fitted(any_day, recipe.boosting_share),
        own={name: fitted(named[name], share) for name, share in recipe.own_shares.items()},
    )


@dataclass(frozen=True)
class Sample:
    """Rows to fit on, encoded; `groups` are the numbers of their opportunities."""

    encoding: Encoding
    matrix: Floats
    won: Floats
    weight: Floats
    groups: NDArray[np.int64]


def _fit_mix(sample: Sample, recipe: Recipe) -> Mix:
    return Mix(
        boosting=_fit_trees(sample, recipe) if recipe.boosting_share > 0 else None,
        logistic=_fit_line(sample, recipe) if recipe.boosting_share < 1 else None,
        boosting_share=recipe.boosting_share,
    )


def _fit_line(sample: Sample, recipe: Recipe) -> Logistic:
    taught = thinned(sample.groups, len(sample.won), ROWS_ENOUGH, recipe.seed)
    kept = parts_kept(sample, len(recipe.trees), recipe.seed)
    return fit_logistic(
        sample.encoding,
        sample.matrix[taught],
        sample.won[taught],
        sample.weight[taught],
        recipe.penalty,
        monotone=recipe.monotone,
        kept=[rows[taught] for rows in kept if not rows.all()],
    )


def _fit_trees(sample: Sample, recipe: Recipe) -> Boosting:
    data = training_set(sample.encoding, sample.matrix, sample.won, sample.weight)
    rules = column_rules(sample.encoding, line_only=recipe.line_only, monotone=recipe.monotone)
    kept = parts_kept(sample, len(recipe.trees), recipe.seed)

    def fitted(trees: Trees, rows: NDArray[np.bool_], seed: int) -> lgb.Booster:
        rounds = _rounds(trees, recipe, sample.won)
        if trees.shape == "symmetric":
            taught = Rows(sample.matrix, sample.won, sample.weight).part(rows)
            return fit_symmetric(sample.encoding, taught, rounds, seed=seed, unseen=recipe.line_only)
        part = data if rows.all() else data.subset(np.flatnonzero(rows).tolist())
        return fit_boosting(part, {**trees.parameters, **rules}, rounds, seed)

    each = zip(recipe.trees, kept, strict=True)
    return Boosting.of(*(fitted(trees, rows, recipe.seed + number) for number, (trees, rows) in enumerate(each)))


def parts_kept(sample: Sample, count: int, seed: int) -> list[NDArray[np.bool_]]:
    """Give the rows that each of so many members is fitted on: all but a fifth of the opportunities, another for each.

    Members that differ in what they have seen err differently: their mean is steadier than each, and their spread tells how
    much the log-odds depend on the opportunities that happened to be there (the jackknife over groups). Fewer than three
    members tell nothing of it, and have all rows; so have members that would lack an outcome.
    """
    everything = np.ones(len(sample.won), bool)
    if count < MEMBERS_MIN:
        return [everything] * count
    _, numbers = np.unique(sample.groups, return_inverse=True)
    part = np.random.default_rng(seed).permutation(numbers.max() + 1)[numbers] % PARTS
    kept = [part != number % PARTS for number in range(count)]
    return [rows if len(np.unique(sample.won[rows])) == 2 else everything for rows in kept]


def _rounds(trees: Trees, recipe: Recipe, won: Floats) -> int:
    """Let the number of trees grow with the square root of the rows of the rarer outcome: more rows, more to be learnt."""
    if recipe.rarer_count is None:
        return trees.rounds
    return max(1, round(trees.rounds * float(np.sqrt(rarer_count(won) / recipe.rarer_count))))


def rarer_count(won: Floats) -> float:
    """Count the rows of the rarer outcome."""
    return float(min(won.sum(), len(won) - won.sum()))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a recipe predicts for rows that its fit had not seen.

    The level of sales drifts, and how well opportunities are told apart is one question, where the level is going another.
    So each fold's log-odds are shifted to its own share won; the level has its own choice.

    Attributes:
        log_odds: of each judged row, at the level of its fold; NaN elsewhere.
        judged: those rows.
    """

    log_odds: Floats
    judged: Lesson


def judge_on_folds(dataset: Dataset, folds: list[Fold], recipe: Recipe) -> Evidence:
    """Predict each fold's judged rows by the recipe fitted on what the fold learns from."""
    return judge_models(dataset, folds, [fit_recipe(dataset, fold.fit, recipe) for fold in folds])


def judge_models(dataset: Dataset, folds: list[Fold], models: list[WinModel]) -> Evidence:
    """Predict each fold's judged rows by the model fitted on what the fold learns from."""
    log_odds = np.full(dataset.keys.height, np.nan)
    for fold, model in zip(folds, models, strict=True):
        used = fold.judged.used
        found = model.log_odds(dataset.features.filter(used))
        log_odds[used] = found + level_shift(fold.judged.won[used], found, fold.judged.weight[used])
    return Evidence(log_odds=log_odds, judged=judged_rows(folds))


def judged_rows(folds: list[Fold]) -> Lesson:
    """Give the rows judged in any fold."""
    used = [fold.judged.used for fold in folds]
    return Lesson(
        won=np.select(used, [fold.judged.won for fold in folds], np.nan),
        weight=np.select(used, [fold.judged.weight for fold in folds], 0.0),
    )


def calibrate(model: WinModel, dataset: Dataset, lesson: Lesson, evidence: Evidence, recipe: Recipe) -> WinModel:
    """Set the calibration and the level of a model fitted on a lesson; the calibration is chosen on the evidence."""

    def calibrated(mix: Mix, rows: NDArray[np.bool_]) -> Mix:
        return replace(mix, calibration=choose_calibration(dataset, evidence, evidence.judged.used & rows))

    enough = dataset.thinned(lesson.used, LEVEL_ROWS_ENOUGH, recipe.seed)
    divided = [rows for _, rows in model.divided(dataset.features)]
    return set_level(_each_mix(model, divided, calibrated), dataset, lesson.within(enough), recipe.level_ages_days)


def choose_calibration(dataset: Dataset, evidence: Evidence, rows: NDArray[np.bool_]) -> Calibration:
    """Choose how the evidence of these rows is calibrated: by the kind that, fitted on the earlier, is best on the later ones.

    It must be better than none by more than two standard errors: fits on more rows than a fold had need less of it.
    """
    won, weight, log_odds = (
        values[rows] for values in (evidence.judged.won, evidence.judged.weight, evidence.log_odds)
    )
    earlier = _earlier(dataset, rows)
    if any(len(np.unique(won[part])) < 2 for part in (earlier, ~earlier)):
        return NOT_CALIBRATED

    def gain(fit: Callable[[Floats, Floats, Floats], Calibration]) -> tuple[float, float]:
        bent = fit(won[earlier], log_odds[earlier], weight[earlier]).of(log_odds[~earlier])
        bent = bent + level_shift(won[~earlier], bent, weight[~earlier])
        losses = [log_losses(won[~earlier], expit(scores)) for scores in (log_odds[~earlier], bent)]
        gains = np.bincount(dataset.groups[rows][~earlier], weights=(losses[0] - losses[1]) * weight[~earlier])
        return float(gains.sum()), float(np.sqrt(np.sum(gains**2)))

    tried = {kind: gain(CALIBRATORS[kind]) for kind in calibrators_for(won[earlier])}
    best = max(tried, key=lambda kind: tried[kind][0])
    total, error = tried[best]
    return CALIBRATORS[best](won, log_odds, weight) if total > CLEARLY * error else NOT_CALIBRATED


def _earlier(dataset: Dataset, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the rows of the earlier two thirds of time, or of every other opportunity where there are no dates."""
    if not dataset.dated:
        return np.asarray(dataset.groups[rows] % 2 == 0)
    moments = dataset.keys["as_of"].dt.epoch("us").to_numpy()[rows]
    return np.asarray(moments < np.quantile(moments, CALIBRATION_SHARE)) if len(moments) else np.zeros(0, bool)


def set_level(
    model: WinModel, dataset: Dataset, lesson: Lesson, ages_days: tuple[float, ...] | None = None
) -> WinModel:
    """Shift a model as `Unlevelled.at` does."""
    return Unlevelled.of(model, dataset, lesson.used).at(lesson, ages_days)


@dataclass(frozen=True, kw_only=True)
class Unlevelled:
    """What a model says of rows of a data set before any level is set, so that many levels can be tried on it.

    Attributes:
        model: without a level.
        rows: which rows of the data set.
        dataset, matrix, log_odds: of those rows.
        divided: for each mix of the model, which of those rows it predicts.
    """

    model: WinModel
    rows: NDArray[np.bool_]
    dataset: Dataset
    matrix: Floats
    log_odds: Floats
    divided: list[NDArray[np.bool_]]

    @classmethod
    def of(cls, model: WinModel, dataset: Dataset, rows: NDArray[np.bool_]) -> Self:
        """Ask a model, whatever its level is now."""
        asked = dataset.part(rows)
        features = asked.features
        divided = [part for _, part in model.divided(features)]
        plain = _each_mix(model, divided, lambda mix, _: replace(mix, shift=0.0, by_age=None))
        matrix = model.encoding.matrix(features)
        log_odds = np.zeros(len(matrix))
        for mix, part in plain.divided(features):
            log_odds[part] = mix.log_odds(matrix[part])
        return cls(model=plain, rows=rows, dataset=asked, matrix=matrix, log_odds=log_odds, divided=divided)

    def at(self, lesson: Lesson, ages_days: tuple[float, ...] | None = None) -> WinModel:
        """Shift each mix that the lesson speaks of to its share won over all the time, and all mixes alike to the level now.

        Where ages are given, each age band is shifted besides by what it lacked over all the time: like the prior's, its
        share counts as much as PRIOR_ROWS are outweighed.
        """
        lesson = lesson.part(self.rows)
        usual = _each_mix(self.model, self.divided, partial(self._usual, lesson, ages_days))
        moved = level_now(self.dataset, lesson, self.log_odds_at(usual)).shift
        return _each_mix(usual, self.divided, lambda mix, _: replace(mix, shift=mix.shift + moved))

    def _usual(self, lesson: Lesson, ages_days: tuple[float, ...] | None, mix: Mix, rows: NDArray[np.bool_]) -> Mix:
        taught = lesson.used & rows
        if not taught.any():
            return mix
        won, weight, log_odds = lesson.won[taught], lesson.weight[taught], self.log_odds[taught]
        shift = level_shift(won, log_odds, weight)
        level = replace(mix, shift=shift)
        numbers = self.model.encoding.numbers
        if ages_days is None or "age_days" not in numbers:
            return level
        nothing = AgeLevel(column=numbers.index("age_days"), from_days=ages_days, shifts=(0.0,) * len(ages_days))
        band = nothing.bands(self.matrix[taught])
        return replace(level, by_age=_age_level(nothing, band, log_odds + shift, won, weight))

    def log_odds_at(self, levelled: WinModel) -> Floats:
        """Give the rows' log-odds by the model that `at` gave."""
        found = self.log_odds.copy()
        for mix, part in zip([levelled.mix, *levelled.own.values()], self.divided, strict=True):
            found[part] += mix.level(self.matrix[part])
        return found


def _age_level(nothing: AgeLevel, band: NDArray[np.int64], log_odds: Floats, won: Floats, weight: Floats) -> AgeLevel:
    """Find what each age band's log-odds lack to its share won, shrunk to nothing by PRIOR_ROWS."""

    def shift(rows: NDArray[np.bool_]) -> float:
        if not rows.any():
            return 0.0
        strength = PRIOR_ROWS * float((weight[rows] ** 2).sum() / weight[rows].sum())
        expected = float(np.average(expit(log_odds[rows]), weights=weight[rows]))
        return level_shift(
            np.append(won[rows], expected),
            np.append(log_odds[rows], logit(expected)),
            np.append(weight[rows], strength),
        )

    return replace(nothing, shifts=tuple(shift(band == number) for number in range(len(nothing.from_days))))


def _each_mix(
    model: WinModel, divided: list[NDArray[np.bool_]], change: Callable[[Mix, NDArray[np.bool_]], Mix]
) -> WinModel:
    """Change each mix by the rows that it predicts."""
    changed = [change(mix, rows) for mix, rows in zip([model.mix, *model.own.values()], divided, strict=True)]
    return replace(model, mix=changed[0], own=dict(zip(model.own, changed[1:], strict=True)))
