"""The share won at each age, of all the time and of now."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import UNTIL, draw_dataset, without_dates
from scipy.special import expit, logit

from training.dataset import Lesson
from training.prior import PRIOR_ROWS, fit_prior, follow_prior

AGES = (0.0, 30.0, 90.0)


def plain_shares(dataset, lesson):
    """Shrink each age band's share to the one before, by a plain loop."""
    shares = []
    for number, low in enumerate(AGES):
        high = AGES[number + 1] if number + 1 < len(AGES) else float("inf")
        rows = wins = 0.0
        for age, won, weight in zip(dataset.features["age_days"], lesson.won, lesson.weight, strict=True):
            if weight > 0 and low <= age < high:
                rows, wins = rows + weight, wins + weight * won
        before, strength = (shares[-1], PRIOR_ROWS) if shares else (0.5, 1.0)
        shares.append((wins + strength * before) / (rows + strength))
    return shares


def test_the_prior_is_the_share_won_at_each_age(dataset, lesson):
    """Each age band has its weighted share won, shrunk to the band before it."""
    assert fit_prior(dataset, lesson, AGES).shares == pytest.approx(plain_shares(dataset, lesson))


def test_an_age_that_nobody_reached_has_the_share_of_the_one_before(dataset, lesson):
    """Where nothing is known the nearest younger age speaks."""
    shares = fit_prior(dataset, lesson, (*AGES, 5000.0)).shares
    assert shares[3] == shares[2]


def test_the_prior_is_never_quite_sure(dataset, lesson):
    """Where everything was won so far the share stays below 1."""
    won = Lesson(won=np.where(lesson.used, 1.0, np.nan), weight=lesson.weight)
    shares = fit_prior(dataset, won, AGES).shares
    assert 0.9 < min(shares) <= max(shares) < 1
    assert logit(shares[0]) < 10


def test_the_prior_of_now_follows_the_share_won():
    """Where the share won has risen all the time every age has more than its share of all the time, and it rests on fewer rows."""
    dataset = draw_dataset(count=700)
    along = np.linspace(-3.0, 3.0, dataset.keys.height)
    won = np.random.default_rng(2).random(dataset.keys.height) < expit(along)
    known = pl.col("won").is_not_null()
    rising = replace(dataset, keys=dataset.keys.with_columns(won=pl.when(known).then(pl.Series(won.astype(int)))))
    followed = follow_prior(rising, rising.lesson(UNTIL), AGES)
    whole, now = followed.whole, followed.now
    raised = logit(np.array(now.shares)) - logit(np.array(whole.shares))
    assert (raised > 0.7).all()
    assert raised == pytest.approx(raised[0])
    assert max(now.rows) < max(whole.rows)


def test_the_prior_of_now_is_that_of_all_the_time_where_nothing_tells_the_time(dataset, lesson):
    """Without dates there is no now; where the share won stays, now is hardly anything else."""
    undated = without_dates(dataset)
    assert follow_prior(undated, undated.lesson(UNTIL), AGES).now == fit_prior(undated, undated.lesson(UNTIL), AGES)
    assert follow_prior(dataset, lesson, AGES).now.shares == pytest.approx(
        fit_prior(dataset, lesson, AGES).shares, abs=0.1
    )
