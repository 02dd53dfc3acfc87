"""Where too little has closed to learn from: the share won of the group that an opportunity is in, if one clearly tells."""

from dataclasses import replace

import numpy as np
import polars as pl
from scipy.special import expit, logit

from forecast.estimators.win import GroupShares, PriorModel
from forecast.metrics import Floats, log_losses
from training.dataset import Dataset, Lesson
from training.fit import CLEARLY
from training.guard import find_leaks

GROUP_ROWS = 20.0
GROUPS = ("pipeline_id", "type", "source", "campaign_id", "product_line", "product_id", "account_region", "team_id")


def with_groups(prior: PriorModel, dataset: Dataset, lesson: Lesson) -> PriorModel:
    """Tell groups apart by the column of GROUPS that lowers the loss most, each record foretold by the others.

    A group's share counts as much as GROUP_ROWS are outweighed, as an age band's does. The prior stays as it is where no column
    lowers the loss by more than two standard errors, and columns that look as if they knew the outcome are not asked.
    """
    taught = lesson.used & dataset.keys["opportunity_id"].is_first_distinct().to_numpy()
    rows, won, weight = dataset.features.filter(taught), lesson.won[taught], lesson.weight[taught]
    expected = prior.predict(rows)
    gains = {
        name: weight * (log_losses(won, expected) - log_losses(won, _by_others(rows[name], won, weight, expected)))
        for name in _honest(dataset)
    }
    best = max(gains, key=lambda name: float(gains[name].sum()), default=None)
    if best is None or gains[best].sum() <= CLEARLY * np.sqrt(np.sum(gains[best] ** 2)):
        return prior
    return replace(prior, groups=_shares(rows[best], won, weight))


def _honest(dataset: Dataset) -> list[str]:
    """List the columns of GROUPS that vary and don't know the outcome."""
    asked = [name for name in GROUPS if dataset.features[name].drop_nulls().n_unique() > 1]
    features = dataset.features.select("opportunity_id", "as_of", *asked)
    suspected = {suspicion.feature for suspicion in find_leaks(replace(dataset, features=features), ())}
    return [name for name in asked if name not in suspected]


def _by_others(group: pl.Series, won: Floats, weight: Floats, expected: Floats) -> Floats:
    """Give what each record's age and the others of its group foretell."""
    sums = pl.DataFrame({"group": group, "won": won * weight, "rows": weight}).select(
        pl.col("group").is_not_null().alias("known"), pl.sum("won", "rows").over("group")
    )
    own = won * weight
    of_all = (own.sum() - own + 0.5) / (weight.sum() - weight + 1)
    lift = _lift(sums["won"].to_numpy() - own, sums["rows"].to_numpy() - weight, of_all)
    return np.asarray(expit(logit(expected) + np.where(sums["known"].to_numpy(), lift, 0.0)))


def _lift(won: Floats, rows: Floats, of_all: Floats) -> Floats:
    """Give by how much, in log-odds, groups differ from all, GROUP_ROWS rows of which count in each."""
    return np.asarray(logit((won + GROUP_ROWS * of_all) / (rows + GROUP_ROWS)) - logit(of_all))


def _shares(group: pl.Series, won: Floats, weight: Floats) -> GroupShares:
    of_all = ((won * weight).sum() + 0.5) / (weight.sum() + 1)
    sums = (
        pl.DataFrame({"group": group, "won": won * weight, "rows": weight})
        .drop_nulls("group")
        .group_by("group")
        .agg(pl.sum("won", "rows"))
        .sort("group")
    )
    rows = sums["rows"].to_numpy()
    lifts = _lift(sums["won"].to_numpy(), rows, of_all)
    names = sums["group"].to_list()
    return GroupShares(
        column=group.name,
        lifts=dict(zip(names, lifts.tolist(), strict=True)),
        rows=dict(zip(names, (rows + GROUP_ROWS).tolist(), strict=True)),
    )
