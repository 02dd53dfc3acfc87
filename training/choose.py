"""Choose on folds what the search need not search: which optional features pay, and how fast the past fades."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from forecast.estimators.encoding import fit_encoding
from forecast.estimators.win import WinModel, occasions
from forecast.features.plan import KEY_VALUES_MIN
from forecast.metrics import level_shift, log_losses
from training.dataset import Dataset, Lesson
from training.fit import CLEARLY, Evidence, Recipe, Unlevelled, judge_on_folds, judged_rows
from training.folds import Fold

TIMES = ("month", "calendar")
USUAL_PENALTY = 10.0
CALENDAR = frozenset({"quarter_end_days", "moment_month", "created_weekday", "created_hour"})
DEALINGS: Mapping[str, str] = MappingProxyType(
    {
        "account": r"account_(order|case|satisfaction|open|newer).*",
        "quotes": r"quote_.*",
        "amounts": r"amount_to_.*usual",
        "words": r"((account_)?custom_.+|next_step)_says_.+",
        "pace": r"stage_pace",
        "recent": r"(activity_.+|(in|out)bound_activity)_count_\d+d",
        "repricing": r"amount_(change|raise|cut)_count",
    }
)
HALF_LIVES_DAYS = (730.0, 365.0, 180.0, 90.0, 45.0)
OUTCOMES_MIN = 10
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MONTH_SHARE_MAX = 0.8
LIFT = "_win_lift"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A recipe chosen among simple ones, and what it predicts for the folds."""

    recipe: Recipe
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class Level:
    """A recipe with its level chosen, and how far, in log-odds, levels so chosen were off on the folds."""

    recipe: Recipe
    error: float


def choose_inputs(dataset: Dataset, folds: list[Fold], start: Recipe) -> Recipe:
    """Add optional features to a recipe, and let the past fade, where either clearly lowers the loss on the folds.

    Features of the calendar, features that tell the month a row is from, and earlier win rates each learn the past by heart
    where what they say does not come again, so that they have to show their worth.
    """
    start = replace(start, left_out=start.left_out | few_levels(dataset))
    optional = optional_features(dataset, folds)
    varying = _varying(dataset, folds) - start.left_out
    groups = {name: group - start.left_out for name, group in optional.items() if group & varying}
    best = _try(dataset, folds, replace(start, left_out=start.left_out.union(*optional.values())))
    if dataset.dated:
        best = _faded_enough(dataset, folds, best)
    tried = {
        name: race(dataset, folds, best, replace(best.recipe, left_out=best.recipe.left_out - group))
        for name, group in groups.items()
    }
    for name in sorted(groups, key=lambda name: _gain(dataset, best, tried[name])[0], reverse=True):
        left_out = best.recipe.left_out - groups[name]
        if _pays(dataset, best, tried[name]):
            alone = tried[name].recipe.left_out == left_out
            other = tried[name] if alone else _try(dataset, folds, replace(best.recipe, left_out=left_out))
            best = _better(dataset, best, other)
    line_only = _for_the_line(dataset, folds, best.recipe, groups)
    return replace(best.recipe, left_out=best.recipe.left_out - line_only, line_only=line_only)


def _for_the_line(
    dataset: Dataset, folds: list[Fold], recipe: Recipe, groups: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Find what tells the times, and doesn't pay in the mix, but clearly lowers the loss of the logistic regression alone.

    Trees learn each month by heart; a straight line through an index of the economy goes on beyond what was seen.
    """
    asked = [groups[name] for name in TIMES if name in groups and groups[name] <= recipe.left_out]
    if not asked:
        return frozenset()
    line = _try(dataset, folds, replace(recipe, boosting_share=0.0, penalty=USUAL_PENALTY))
    taken: frozenset[str] = frozenset()
    for group in asked:
        other = race(dataset, folds, line, replace(line.recipe, left_out=line.recipe.left_out - group))
        if _pays(dataset, line, other):
            line, taken = other, taken | group
    return taken


def _varying(dataset: Dataset, folds: list[Fold]) -> frozenset[str]:
    """List the features that are not the same in all rows of the folds: the others make no difference."""
    seen = np.any([fold.fit.used | fold.judged.used for fold in folds], axis=0)
    return frozenset(fit_encoding(dataset.features.filter(seen)).features)


def race(dataset: Dataset, folds: list[Fold], best: Choice, recipe: Recipe) -> Choice:
    """Try a recipe on the newer half of the folds, and on the older ones only if it is better there."""
    half = len(folds) // 2
    newer = _try(dataset, folds[half:], recipe)
    if not half or _gain(dataset, best, newer)[0] <= 0:
        return newer
    return replace(newer, evidence=together(newer.evidence, judge_on_folds(dataset, folds[:half], recipe)))


def _faded_enough(dataset: Dataset, folds: list[Fold], start: Choice) -> Choice:
    """Let the past fade ever faster, until that is clearly worse; give the slowest that is not clearly worse than the best."""
    tried = [start]
    for days in HALF_LIVES_DAYS:
        faster = _try(dataset, folds, replace(start.recipe, half_life_days=days))
        too_fast = any(_pays(dataset, faster, slower) for slower in tried)
        tried.append(faster)
        if too_fast:
            break
    return _slowest_good(dataset, tried)


def _slowest_good(dataset: Dataset, choices: list[Choice]) -> Choice:
    """Give the first choice whose loss is not clearly higher than the lowest of all."""
    best = max(choices, key=lambda choice: _gain(dataset, choices[0], choice)[0])
    return next(choice for choice in choices if not _pays(dataset, choice, best))


def _better(dataset: Dataset, best: Choice, other: Choice) -> Choice:
    return other if _pays(dataset, best, other) else best


def _pays(dataset: Dataset, best: Choice, other: Choice) -> bool:
    """Tell whether the other's loss is lower by more than two standard errors of the difference."""
    gain, error = _gain(dataset, best, other)
    return gain > CLEARLY * error


def _gain(dataset: Dataset, best: Choice, other: Choice) -> tuple[float, float]:
    """Give how much lower the other's loss is over all rows that it judged, and its standard error over opportunities."""
    judged = other.evidence.judged
    used = judged.used
    losses = [log_losses(judged.won[used], expit(choice.evidence.log_odds[used])) for choice in (best, other)]
    gains = np.bincount(dataset.groups[used], weights=(losses[0] - losses[1]) * judged.weight[used])
    return float(gains.sum()), float(np.sqrt(np.sum(gains**2)))


def _try(dataset: Dataset, folds: list[Fold], recipe: Recipe) -> Choice:
    return Choice(recipe=recipe, evidence=judge_on_folds(dataset, folds, recipe))


def choose_mix(dataset: Dataset, folds: list[Fold], recipe: Recipe) -> Recipe:
    """Choose the shares of the trees, and the occasions that have a mix of their own; the recipe's shares don't matter."""
    best = _best_share(dataset, without_entries(dataset, folds), recipe)
    for name, rows in occasions(dataset.features).items() if dataset.timed else ():
        those = [fold for fold in (_within(fold, rows) for fold in folds) if _enough(fold)]
        if not those:
            continue
        own = _best_share(dataset, those, recipe)
        with_own = Choice(
            recipe=replace(best.recipe, own_shares={**best.recipe.own_shares, name: own.recipe.boosting_share}),
            evidence=together(best.evidence, own.evidence),
        )
        if name == "entry" or not _pays(dataset, with_own, best):
            best = with_own
    return best.recipe


def without_entries(dataset: Dataset, folds: list[Fold]) -> list[Fold]:
    """Give the folds without the moments at which opportunities enter a stage."""
    any_day = ~occasions(dataset.features)["entry"]
    return [_within(fold, any_day) for fold in folds]


def _within(fold: Fold, rows: NDArray[np.bool_]) -> Fold:
    return Fold(fit=fold.fit.within(rows), judged=fold.judged.within(rows))


def together(evidence: Evidence, newer: Evidence) -> Evidence:
    """Join evidence; where both speak of a row, the newer counts."""
    rows, judged, other = newer.judged.used, evidence.judged, newer.judged
    return Evidence(
        log_odds=np.where(rows, newer.log_odds, evidence.log_odds),
        judged=Lesson(won=np.where(rows, other.won, judged.won), weight=np.where(rows, other.weight, judged.weight)),
    )


def _enough(fold: Fold) -> bool:
    return all(
        int((part.won == outcome).sum()) >= OUTCOMES_MIN for part in (fold.fit, fold.judged) for outcome in (0, 1)
    )


def _best_share(dataset: Dataset, folds: list[Fold], recipe: Recipe) -> Choice:
    """Choose the share by the loss; between two members a wrong one costs little, so that it needs no certainty."""
    trees, logistic = (judge_on_folds(dataset, folds, replace(recipe, boosting_share=share)) for share in (1.0, 0.0))
    mixes = [
        Choice(
            recipe=replace(recipe, boosting_share=share),
            evidence=replace(trees, log_odds=share * trees.log_odds + (1 - share) * logistic.log_odds),
        )
        for share in SHARES
    ]
    return _inside(dataset, mixes)


def _inside(dataset: Dataset, mixes: list[Choice]) -> Choice:
    """Give the mix of the lowest loss; one member alone only if better than with a quarter of the other by a standard error.

    Which member is better on the folds is partly chance, and a mean of two that err differently is seldom the worse one.
    """
    best = max(range(len(mixes)), key=lambda number: _gain(dataset, mixes[0], mixes[number])[0])
    beside = min(max(best, 1), len(mixes) - 2)
    gain, error = _gain(dataset, mixes[beside], mixes[best])
    return mixes[best] if gain > error else mixes[beside]


def choose_level(
    dataset: Dataset, folds: list[Fold], models: list[WinModel], recipe: Recipe, *, ages_days: tuple[float, ...]
) -> Level:
    """Choose whether each age has a level of its own: if the loss on the folds is then lower by more than a standard error.

    `models` are the recipe's, fitted on each fold.
    """
    asked = [
        Unlevelled.of(model, dataset, fold.fit.used | fold.judged.used)
        for fold, model in zip(folds, models, strict=True)
    ]

    def expected(ages: tuple[float, ...] | None) -> Choice:
        log_odds = np.full(dataset.keys.height, np.nan)
        for fold, one in zip(folds, asked, strict=True):
            judged = fold.judged.used
            log_odds[judged] = one.log_odds_at(one.at(fold.fit, ages))[judged[one.rows]]
        return Choice(
            recipe=replace(recipe, level_ages_days=ages),
            evidence=Evidence(log_odds=log_odds, judged=judged_rows(folds)),
        )

    level = expected(None)
    if dataset.timed:
        by_age = expected(ages_days)
        gain, error = _gain(dataset, level, by_age)
        level = by_age if gain > error else level
    return Level(recipe=level.recipe, error=_level_error(folds, level.evidence))


def _level_error(folds: list[Fold], evidence: Evidence) -> float:
    """Give the root mean square of what each fold's log-odds lack to its share won."""
    errors = [
        level_shift(fold.judged.won[rows], evidence.log_odds[rows], fold.judged.weight[rows])
        for fold, rows in ((fold, fold.judged.used) for fold in folds)
    ]
    return float(np.sqrt(np.mean(np.square(errors))))


def optional_features(dataset: Dataset, folds: list[Fold]) -> Mapping[str, frozenset[str]]:
    """List the groups of features that have to show their worth, by name."""
    rates = {key: frozenset({f"{key}{LIFT}", f"{key}_closed_share"}) for key in _rated_keys(dataset)}
    taught = np.any([fold.fit.used | fold.judged.used for fold in folds], axis=0)
    dealings = _dealings(dataset, taught)
    named = frozenset().union(*rates.values(), *dealings.values())
    months = _tell_the_month(dataset, taught) - CALENDAR - {"age_days"} - named
    return {"calendar": CALENDAR, "month": months, **dealings, **rates}


def _dealings(dataset: Dataset, rows: NDArray[np.bool_]) -> dict[str, frozenset[str]]:
    """List what varies of each group in DEALINGS."""
    features = dataset.features.filter(rows)
    return {
        group: frozenset(
            name for name in features.columns if re.fullmatch(pattern, name) and features[name].n_unique() > 1
        )
        for group, pattern in DEALINGS.items()
    }


def few_levels(dataset: Dataset) -> frozenset[str]:
    """List the win rates of keys with so few values that a model does better with the values themselves.

    Without dates, the rate of a large group would differ only by the tenth that it leaves out, and so tell the outcomes there.
    """
    features = dataset.features
    keys = {key: features[key if key in features.columns else f"{key}_id"] for key in _rated_keys(dataset)}
    few = [key for key, column in keys.items() if column.n_unique() <= KEY_VALUES_MIN]
    return frozenset(f"{key}{kind}" for key in few for kind in (LIFT, "_closed_share"))


def _rated_keys(dataset: Dataset) -> list[str]:
    return [name.removesuffix(LIFT) for name in dataset.features.columns if name.endswith(LIFT)]


def _tell_the_month(dataset: Dataset, rows: NDArray[np.bool_]) -> frozenset[str]:
    """Find features of which the month a row is from tells nearly everything."""
    if not dataset.dated:
        return frozenset()
    month = dataset.keys.filter(rows).select(pl.col("as_of").dt.strftime("%Y-%m").rank("dense")).to_series().to_numpy()
    features = dataset.features.filter(rows).drop("opportunity_id", "as_of")
    return frozenset(
        column.name
        for column in features.iter_columns()
        if _share_told(column, month.astype(np.int64)) > MONTH_SHARE_MAX
    )


def _share_told(column: pl.Series, month: NDArray[np.int64]) -> float:
    """Give the share of a column's variance that lies between months: of its ranks, or of its levels (Goodman and Kruskal's tau)."""
    if column.n_unique() < 2:
        return 0.0
    levels = column.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    if column.dtype != pl.String:
        values = column.rank("average").fill_null(0).to_numpy()
        means = np.bincount(month, weights=values) / np.maximum(np.bincount(month), 1)
        return float(np.var(means[month]) / np.var(values))
    counts = np.zeros((month.max() + 1, levels.max() + 1))
    np.add.at(counts, (month, levels), 1.0)
    sizes, shares = np.maximum(counts.sum(axis=1, keepdims=True), 1), counts.sum(axis=0) / len(month)
    found, chance = float((counts**2 / sizes).sum() / len(month)), float((shares**2).sum())
    return (found - chance) / (1 - chance) if chance < 1 else 0.0
