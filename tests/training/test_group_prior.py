import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import draw_dataset
from scipy.special import expit, logit

from forecast.estimators.win import GroupShares, PriorModel
from forecast.metrics import log_losses
from training.group_prior import GROUPS, with_groups

SHARES = {"new": 0.15, "renewal": 0.7}


def few(seed, shares, count=120):
    """Draw few opportunities of two pipelines of equal size, won by these shares and by nothing else."""
    dataset = draw_dataset(seed=seed, count=count)
    draw = np.random.default_rng(seed)
    ids = dataset.keys["opportunity_id"].unique().sort()
    pipelines = draw.choice(sorted(shares), len(ids))
    drawn = pl.DataFrame(
        {"opportunity_id": ids, "pipeline_id": pipelines, "drawn": draw.random(len(ids))}
        | {"share": [shares[name] for name in pipelines]}
    )
    keys = dataset.keys.join(drawn, on="opportunity_id", how="left", maintain_order="left")
    won = pl.when(pl.col("won").is_not_null()).then((pl.col("drawn") < pl.col("share")).cast(pl.Int64))
    columns = [pl.lit(None, pl.String).alias(name) for name in GROUPS if name not in {"pipeline_id", "source"}]
    return replace(
        dataset,
        keys=keys.with_columns(won.alias("won")).select(dataset.keys.columns),
        features=dataset.features.with_columns(keys["pipeline_id"], *columns),
    )


def grouped(dataset):
    """Give the prior of a data set, and the same with groups."""
    won = dataset.keys["won"].drop_nulls().mean()
    prior = PriorModel(ages_days=(0.0,), shares=(won,), rows=(100.0,))
    return prior, with_groups(prior, dataset, dataset.taught(dataset.until))


@pytest.mark.parametrize("seed", range(3))
def test_pipelines_that_are_won_by_different_shares_are_told_apart(seed):
    """Each is said its own share, drawn to that of all, which is nearer to the truth than one share for both."""
    dataset = few(seed, SHARES)
    prior, found = grouped(dataset)
    assert found.groups.column == "pipeline_id"
    new, renewal = found.predict(pl.DataFrame({"age_days": [0.0, 0.0], "pipeline_id": ["new", "renewal"]}))
    assert new < prior.shares[0] < renewal
    truth = dataset.features["pipeline_id"].replace_strict(SHARES).to_numpy()
    losses = [log_losses(truth, model.predict(dataset.features)).mean() for model in (prior, found)]
    assert losses[1] < losses[0] - 0.03


def test_groups_that_tell_nothing_are_not_told_apart():
    """Of twenty companies whose sources and pipelines mean nothing, hardly one has a prior by group."""
    found = [grouped(few(seed, dict.fromkeys(SHARES, 0.4)))[1] for seed in range(20)]
    assert sum(model.groups is not None for model in found) <= 2


def test_a_group_that_knows_the_outcome_is_not_asked():
    """What was written at the end tells everything, and of open records nothing."""
    dataset = few(1, SHARES)
    ends = dataset.keys["won"].replace_strict({1: "signed", 0: "declined"}, default=None, return_dtype=pl.String)
    told = replace(dataset, features=dataset.features.with_columns(source=ends))
    assert grouped(told)[1].groups.column == "pipeline_id"


def test_an_unknown_group_has_the_share_of_all():
    """A group that is new, or missing, adds nothing; a known one shifts the share of each age, and rests on its own rows."""
    groups = GroupShares(column="source", lifts={"web": 1.0}, rows={"web": 12.0})
    prior = PriorModel(ages_days=(0.0, 30.0), shares=(0.3, 0.2), rows=(500.0, 400.0), groups=groups)
    frame = pl.DataFrame({"age_days": [1.0, 50.0, 1.0, 50.0], "source": ["web", "web", "fair", None]})
    expected = [*expit(logit([0.3, 0.2]) + 1), 0.3, 0.2]
    assert prior.predict(frame) == pytest.approx(expected)
    found = prior.predict_interval(frame)
    widths = found.high - found.low
    assert min(widths[:2]) > 2 * max(widths[2:])
    again = PriorModel.from_json(json.loads(json.dumps(prior.to_json())), {})
    assert np.array_equal(again.predict(frame), prior.predict(frame))
    assert prior.raised(0.5).predict(frame) == pytest.approx(expit(logit(expected) + 0.5))
