"""Set the newest part of the rows aside, and cut what comes before it, or a sample of that, into folds."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.features import FeaturePlan, opportunity_features
from forecast.metrics import Floats
from forecast.snapshot import History, take_snapshot
from training.config import Experiment
from training.dataset import Dataset, Lesson
from training.fit import Evidence
from training.folds import Fold, Folds, choosing_folds, newest_part


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What is set aside, and what everything is chosen on.

    Attributes:
        held_out: the test, as its only fold.
        seen: all rows, as they are without the test's outcomes.
        sampled: of them the rows that everything is chosen on: all, or those of opportunities drawn at random.
        sample: these rows.
        folds: of what comes before the test in the sample.
    """

    held_out: Folds
    seen: Dataset
    sampled: NDArray[np.bool_]
    sample: Dataset
    folds: Folds

    @property
    def test(self) -> Fold:
        """What nothing is chosen on."""
        return self.held_out.folds[0]

    @property
    def taught(self) -> Lesson:
        """What the sample has of the rows before the test."""
        return self.test.fit.part(self.sampled)

    def of_all_rows(self, evidence: Evidence) -> Evidence:
        """Give evidence of the sample as evidence of all rows."""

        def placed(values: Floats, nothing: float) -> Floats:
            whole = np.full(len(self.sampled), nothing)
            whole[self.sampled] = values
            return whole

        won, weight = placed(evidence.judged.won, np.nan), placed(evidence.judged.weight, 0.0)
        return Evidence(log_odds=placed(evidence.log_odds, np.nan), judged=Lesson(won=won, weight=weight))


def cut_rows(history: History, dataset: Dataset, plan: FeaturePlan, experiment: Experiment) -> Cut | None:
    """Set the newest part aside and cut the rest; None where either leaves nothing to judge."""
    rules, seed = experiment.data, experiment.seed
    held_out = newest_part(dataset, rules.test_share, seed)
    if not held_out.folds:
        return None
    (test,) = held_out.folds
    seen = _as_seen_before_test(history, dataset, plan, test)
    sampled = seen.thinned(test.fit.used, experiment.search.rows_max, seed)
    sample = seen.part(sampled)
    folds = choosing_folds(sample, test.fit.part(sampled), rules.folds, gap_days=rules.gap_days, seed=seed)
    if not folds.folds:
        return None
    return Cut(held_out=held_out, seen=seen, sampled=sampled, sample=sample, folds=folds)


def _as_seen_before_test(history: History, dataset: Dataset, plan: FeaturePlan, test: Fold) -> Dataset:
    """Give the rows with features that know no held-out outcome; dated rows know none by their moments."""
    if dataset.dated:
        return dataset
    held = dataset.keys.filter(pl.Series(test.judged.used))["opportunity_id"]
    subjects = dataset.keys.select("opportunity_id", "as_of")
    snapshot = take_snapshot(history.with_outcomes_hidden(held), subjects)
    return replace(dataset, features=opportunity_features(snapshot, plan))
