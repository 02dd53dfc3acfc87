"""What the win curve is fitted on: large opportunities, which take longer, and no trace of what closing overwrote."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from forecast.estimators.encoding import fit_encoding
from forecast.estimators.win_curve import amount_weights, at_days, fit_win_curve
from training.curve import ends_seen, fit_curve
from training.dataset import Dataset

START = datetime(2025, 1, 1, tzinfo=UTC)
UNTIL = START + timedelta(days=700)
SOON_DAYS = 60.0


def slow_large_deals(count=3000):
    """Draw deals of which one ten times as large takes three times as long; each is seen at its creation and a month later."""
    draw = np.random.default_rng(1)
    amount = np.exp(draw.normal(10, 1.2, count))
    created = draw.uniform(0, 690, count)
    lasts = draw.gamma(2, 20, count) * (amount / np.exp(10)) ** 0.5
    won = draw.random(count) < 0.3
    noise = {f"noise_{number}": draw.normal(size=count) for number in range(12)}
    rows = pl.DataFrame({"opportunity_id": [f"o{row:05d}" for row in range(count)], "amount": amount, **noise})
    rows = rows.with_columns(created=created, lasts=lasts, won=won)
    seen = [rows.with_columns(age_days=pl.lit(age)).filter(pl.col("lasts") > age) for age in (0.0, 30.0)]
    return pl.concat(seen).filter(pl.col("created") + pl.col("age_days") < 700)


def day(column):
    """Give the moment of a number of days after START."""
    microseconds = (column * 86_400_000_000).cast(pl.Int64).cast(pl.Duration("us"))
    return pl.lit(START).cast(pl.Datetime("us", "UTC")) + microseconds


@pytest.fixture(scope="module")
def dataset():
    """What was known of them after 700 days."""
    rows = slow_large_deals()
    closed = pl.col("created") + pl.col("lasts")
    keys = rows.select(
        "opportunity_id",
        day(pl.col("created") + pl.col("age_days")).alias("as_of"),
        pl.when(closed < 700).then(pl.col("won").cast(pl.Int64)).alias("won"),
        pl.when(closed < 700).then(day(closed)).alias("known_at"),
        pl.when(closed < 700).then(day(closed)).alias("closed_at"),
        day(pl.col("created")).alias("created_at"),
    )
    return Dataset(keys=keys, features=rows.drop("created", "lasts", "won"), until=UNTIL)


def money_expected(curve, encoding, rows):
    """Give the amount expected to be won soon as a share of what truly is, by the deals' own times."""
    won, _ = curve.ended(encoding.matrix(rows))
    expected = at_days(won, curve.edges_days, np.array([SOON_DAYS]))[:, 0] * rows["amount"].to_numpy()
    truly = pl.col("amount").filter(pl.col("won"), pl.col("lasts") - pl.col("age_days") <= SOON_DAYS).sum()
    return expected.sum() / rows.select(truly).item()


def test_what_large_deals_bring_is_not_expected_too_early(dataset):
    """By the clock of amounts, the money expected soon is near to what comes; without it a tenth too much is expected."""
    encoding = fit_encoding(dataset.features)
    curve = fit_curve(dataset, encoding, UNTIL, horizon_days=365.0, seed=1)
    ends = ends_seen(dataset, UNTIL)
    plain = fit_win_curve(
        encoding.matrix(dataset.features),
        ends.took_days,
        ends.end,
        edges_days=curve.edges_days,
        category_positions=encoding.category_positions,
        seed=1,
    )
    rows = slow_large_deals()
    off, off_plain = (abs(money_expected(one, encoding, rows) - 1) for one in (curve, plain))
    assert off < 0.5 * off_plain
    assert off < 0.15


def test_the_curve_does_not_learn_that_what_shows_a_stage_never_ends(dataset):
    """A stage that closing overwrote is seen of open opportunities only: the curve is the same as without it."""
    still_open = dataset.keys["won"].is_null()
    shown, hidden = (
        dataset.features.with_columns(stage=pl.when(still_open & seen).then(pl.lit("Offer"))) for seen in (True, False)
    )
    encoding = fit_encoding(shown)
    rows = encoding.matrix(shown.filter(still_open))
    found = [
        fit_curve(replace(dataset, features=features), encoding, UNTIL, horizon_days=365.0, seed=1)
        for features in (shown, hidden)
    ]
    np.testing.assert_array_equal(found[0].ended(rows)[0], found[1].ended(rows)[0])


def test_weights_are_bounded_and_one_where_amounts_are_unknown():
    """No deal counts for more, or less, than the fourth root of twenty usual ones."""
    assert amount_weights(pl.Series([None, None], dtype=pl.Float64)).tolist() == [1.0, 1.0]
    weights = amount_weights(pl.Series([1.0, 0.0, -5.0, 1e9, None]))
    assert weights[:3].tolist() == [pytest.approx(20**-0.25)] * 3
    assert weights[3] == pytest.approx(2.0**0.5)
    assert weights[4] == 1.0
