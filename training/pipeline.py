"""The order of a training run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from forecast.errors import TooLittleHistoryError
from forecast.estimators.win import PriorModel, WinModel
from forecast.features import FeaturePlan, plan_features
from forecast.registry import PRIOR_SUFFIX, Version
from forecast.snapshot import History
from training.cautions import data_warnings, drift_warnings, order_warnings, too_little
from training.config import Experiment
from training.curve import fit_curve
from training.cut import cut_rows
from training.dataset import Dataset, Lesson, build_dataset
from training.fit import ROWS_ENOUGH, Evidence, Recipe, calibrate, fit_recipe
from training.gates import Gate, Judged, decide_gates, measure, verdict
from training.group_prior import with_groups
from training.guard import Suspicion, find_leaks
from training.judging import judge
from training.prior import follow_prior
from training.tune import Budget, Search, search_recipe
from training.usual import usual_by_stage, usual_values

MOVING = frozenset({"age_days", "quarter_end_days", "moment_month", "stage_days", "stage_pace", "expected_close_days"})
"""What goes on with the calendar; of records that are only seen at one moment, nothing can be learnt from it."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a training run found.

    Attributes:
        prior: the version that serves the share won so far.
        verdict: a sentence: promoted, or not and why.
        dataset: all rows.
        warnings: what a reader of the figures must know.
        suspicions: features that were left out.
        candidate: the version it trained; None where there was too little to learn from.
        gates: of the candidate; empty where there is none.
        metrics: of the candidate and its yardsticks on rows that it had not seen, as `<who>_<metric>`.
        judged: those rows.
        judged_features: their features.
        search: what the search found.
    """

    prior: Version
    verdict: str
    dataset: Dataset
    warnings: list[str]
    suspicions: list[Suspicion] = field(default_factory=list)
    candidate: Version | None = None
    gates: list[Gate] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=dict)
    judged: Judged | None = None
    judged_features: pl.DataFrame | None = None
    search: Search | None = None

    @property
    def promotable(self) -> bool:
        """Whether the candidate passed every gate."""
        return self.candidate is not None and all(gate.passed for gate in self.gates)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who hears how a run goes on: each step's name, each trial's number and the best loss so far."""

    step: Callable[[str], None]
    trial: Callable[[int, float], None]


class Stopwatch:
    """Hear the steps of a run, and tell how long each took by the clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[str, float] = {}

    def beside(self, listener: Listener) -> Listener:
        """Give a listener that hears what this one does."""

        def step(name: str) -> None:
            self._begun[name] = self._clock()
            listener.step(name)

        return replace(listener, step=step)

    def seconds(self) -> dict[str, float]:
        """Give the seconds of each step, in order; the last one lasts until now."""
        ends = [*self._begun.values(), self._clock()][1:]
        return {name: end - begun for (name, begun), end in zip(self._begun.items(), ends, strict=True)}


def train_win_model(
    history: History,
    experiment: Experiment,
    *,
    until: datetime,
    version_id: str,
    live: Version | None,
    budget: Budget,
    listener: Listener,
) -> Run:
    """Train, judge and describe a version; nothing that was not known at `until` is used.

    Raises:
        TooLittleHistoryError: nothing has closed yet, so that not even a share won can be given.
    """
    listener.step("building snapshots")
    plan = plan_features(history, experiment.rates)
    dataset = build_dataset(history, plan, experiment.ages_days, until)
    closed = _closed_counts(dataset)
    if sum(closed) == 0:
        raise TooLittleHistoryError(
            f"no opportunity had closed before {until.isoformat()}, so there is nothing to learn from; import closed ones"
        )
    taught = dataset.taught(until)
    prior = follow_prior(dataset, taught, experiment.ages_days)
    run = Run(
        prior=_prior_version(experiment, dataset, estimator=prior.whole, closed=closed, version_id=version_id),
        verdict=too_little(closed, experiment),
        dataset=dataset,
        warnings=data_warnings(dataset, experiment, closed),
    )
    if min(closed) < experiment.data.closed_min:
        by_group = with_groups(prior.whole, dataset, taught)
        return replace(run, prior=replace(run.prior, estimator=by_group))

    listener.step("looking for leaks")
    enough = dataset.part(dataset.thinned(dataset.lesson(until).used, ROWS_ENOUGH, experiment.seed))
    run = replace(run, suspicions=find_leaks(enough, experiment.vouched))

    listener.step("searching")
    cut = cut_rows(history, dataset, plan, experiment)
    if cut is None:
        return replace(run, verdict="not promoted: the history is too short to judge anything by; import more, or wait")
    run.warnings.extend(order_warnings(dataset, held_out=cut.held_out, folds=cut.folds))
    left_out = frozenset(suspicion.feature for suspicion in run.suspicions) | (frozenset() if dataset.timed else MOVING)
    search = search_recipe(
        cut.sample, cut.folds.folds, experiment, left_out=left_out, budget=budget, on_trial=listener.trial
    )

    listener.step("judging")
    judgement = judge(history, cut, search, experiment, live=live, plan=plan)
    judged, search = judgement.judged, judgement.search
    run.warnings.extend(drift_warnings(dataset, taught, prior))
    run = replace(
        run,
        search=search,
        judged=judged,
        judged_features=cut.seen.features.filter(cut.test.judged.used),
        metrics=_metrics(judged),
        prior=replace(run.prior, estimator=prior.now),
    )
    run = replace(run, gates=decide_gates(judged, experiment.gates, experiment.seed))

    listener.step("fitting on everything")
    estimator = _fit_on_everything(dataset, taught, search, judgement.evidence, curve_days=experiment.curve_days)
    candidate = Version(
        name=experiment.name,
        version=version_id,
        basis="own",
        estimator=estimator,
        plan=plan,
        usual=usual_values(dataset, estimator.encoding.numbers),
        bundle=_bundle(experiment, dataset, closed)
        | _findings(run, search)
        | _by_stage_and_pipeline(dataset, estimator, experiment),
    )
    return replace(run, verdict=verdict(run.gates), candidate=candidate)


def _by_stage_and_pipeline(dataset: Dataset, estimator: WinModel, experiment: Experiment) -> dict[str, Any]:
    return {
        "usual_by_stage": usual_by_stage(dataset, estimator.encoding.numbers),
        "own_pipelines": own_pipelines(dataset, experiment.data.closed_min),
    }


def own_pipelines(dataset: Dataset, closed_min: int) -> list[str]:
    """List the pipelines with as many won and lost of their own as a version needs; none where there is only one pipeline.

    What is said of the others rests on what they share with these.
    """
    rows = dataset.features.select("opportunity_id", "pipeline_id").with_columns(dataset.keys["won"])
    closed = (
        rows.drop_nulls()
        .unique("opportunity_id")
        .group_by("pipeline_id")
        .agg(pl.col("won").sum(), lost=(1 - pl.col("won")).sum())
    )
    if closed.height < 2:
        return []
    enough = closed.filter(pl.min_horizontal("won", "lost") >= closed_min)
    return sorted(enough["pipeline_id"].cast(pl.String))


def _findings(run: Run, search: Search) -> dict[str, Any]:
    return {
        "gates": [gate.to_json() for gate in run.gates],
        "metrics": dict(run.metrics),
        "left_out": {suspicion.feature: suspicion.reason for suspicion in run.suspicions},
        "warnings": run.warnings,
        "recipe": _recipe_json(search.recipe),
    }


def _closed_counts(dataset: Dataset) -> tuple[int, int]:
    """Count won and lost opportunities."""
    closed = dataset.keys.filter(pl.col("won").is_not_null()).unique("opportunity_id")
    won = int(closed["won"].sum())
    return won, closed.height - won


def _metrics(judged: Judged) -> dict[str, float]:
    who = {"model": judged.ours, "prior": judged.prior, "clock": judged.clock, "logistic": judged.logistic}
    if judged.live is not None:
        who["live"] = judged.live
    return {
        f"{name}_{metric}": value
        for name, probability in who.items()
        for metric, value in measure(judged.won, probability, judged.weight).items()
    }


def _fit_on_everything(
    dataset: Dataset, lesson: Lesson, search: Search, evidence: Evidence, *, curve_days: float
) -> WinModel:
    """Fit the recipe on all rows; calibrate it on the rows judged in the folds and on those held out."""
    recipe = search.recipe
    model = calibrate(fit_recipe(dataset, lesson, recipe), dataset, lesson, evidence, recipe)
    curve = fit_curve(dataset, model.encoding, dataset.until, horizon_days=curve_days, seed=recipe.seed)
    return replace(model, curve=curve, level_error=search.level_error)


def _prior_version(
    experiment: Experiment, dataset: Dataset, *, estimator: PriorModel, closed: tuple[int, int], version_id: str
) -> Version:
    return Version(
        name=experiment.name,
        version=f"{version_id}{PRIOR_SUFFIX}",
        basis="prior",
        estimator=estimator,
        plan=FeaturePlan(),
        usual={},
        bundle=_bundle(experiment, dataset, closed),
    )


def _bundle(experiment: Experiment, dataset: Dataset, closed: tuple[int, int]) -> dict[str, Any]:
    moments = dataset.keys["as_of"].drop_nulls()
    first, last = (moments.min(), moments.max()) if len(moments) else (None, None)
    return {
        "until": dataset.until.isoformat(),
        "config": experiment.text,
        "data": {
            "rows": dataset.keys.height,
            "won": closed[0],
            "lost": closed[1],
            "first_as_of": first.isoformat() if isinstance(first, datetime) else None,
            "last_as_of": last.isoformat() if isinstance(last, datetime) else None,
            "digest": dataset.digest,
        },
    }


def _recipe_json(recipe: Recipe) -> dict[str, Any]:
    return {
        "parameters": dict(recipe.trees[0].parameters),
        "rounds": recipe.trees[0].rounds,
        "other_trees": [
            {"parameters": dict(trees.parameters), "rounds": trees.rounds, "shape": trees.shape}
            for trees in recipe.trees[1:]
        ],
        "penalty": recipe.penalty,
        "boosting_share": recipe.boosting_share,
        "own_shares": dict(recipe.own_shares),
        "half_life_days": recipe.half_life_days,
        "level_ages_days": recipe.level_ages_days and list(recipe.level_ages_days),
        "left_out": sorted(recipe.left_out),
        "line_only": sorted(recipe.line_only),
        "monotone": dict(recipe.monotone),
        "seed": recipe.seed,
    }
