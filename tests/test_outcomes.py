from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from oracles import by_id
from world_history import history_of
from worlds import INSTANT, MOMENT, START, STEP, make_subjects, make_world, subjects_frame

from forecast.outcomes import WEIGHT_LIMIT, censoring_weights, maturity, opportunity_outcomes

SEEDS = range(10)
DAY = timedelta(days=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_outcomes_are_what_a_plain_loop_gives(seed):
    """Open is unknown, never lost; a closing of unknown moment was known from the creation at the earliest."""
    world = make_world(seed)
    subjects = make_subjects(world, seed)
    outcomes = opportunity_outcomes(history_of(world), subjects)
    assert outcomes.select("opportunity_id", "as_of").equals(subjects)
    for found in outcomes.iter_rows(named=True):
        row = by_id(world.opportunities, found["opportunity_id"])
        closed = row["status"] != "open"
        assert found["won"] == ({"won": 1, "lost": 0}[row["status"]] if closed else None)
        assert found["known_at"] == ((row["closed_at"] or row["created_at"]) if closed else None)
        assert found["closed_at"] == row["closed_at"]


def test_an_opportunity_that_is_not_stored_has_an_unknown_outcome():
    """A subject without a record keeps its row."""
    outcomes = opportunity_outcomes(history_of(make_world(1)), subjects_frame([("nobody", START)]))
    assert outcomes.select("won", "known_at").row(0) == (None, None)


def weigh(rows, until):
    """Weigh (as_of, known_at) pairs."""
    frame = pl.DataFrame(rows, schema={"as_of": MOMENT, "known_at": MOMENT}, orient="row")
    return censoring_weights(frame["as_of"], frame["known_at"], until).to_list()


def plain_weight(rows, position, until):
    """Weigh one row by a plain loop."""
    as_of, known_at = rows[position]
    if as_of is None:
        return 1.0 if known_at is None or known_at < until else 0.0
    if known_at is None or known_at >= until:
        return 0.0
    dated = [moment for moment, _ in rows if moment is not None]
    watched_longer = sum(until - moment > known_at - as_of for moment in dated)
    return min(max(len(dated) / watched_longer, 1.0), WEIGHT_LIMIT)


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_are_what_a_plain_loop_gives(seed):
    """One over the share of rows that were watched for longer than the outcome took; ties included."""
    draw = np.random.default_rng(seed)
    until = START + 20 * STEP
    rows = []
    for _ in range(60):
        as_of = START + int(draw.integers(0, 20)) * STEP if draw.random() < 0.9 else None
        known_at = (as_of or START) + int(draw.integers(0, 20)) * STEP if draw.random() < 0.7 else None
        rows.append((as_of, known_at))
    expected = [plain_weight(rows, position, until) for position in range(len(rows))]
    assert weigh(rows, until) == pytest.approx(expected, abs=1e-12)


def test_an_outcome_at_the_moment_itself_is_not_known_yet():
    """The moment is exclusive, with and without a moment of the row."""
    until = START + 10 * DAY
    known = (until - INSTANT, until)
    assert [weight > 0 for weight in weigh([(START, moment) for moment in known], until)] == [True, False]
    assert weigh([(None, moment) for moment in known], until) == [1.0, 0.0]


def test_weights_stay_below_their_limit():
    """A rare slow outcome among many young rows does not outweigh everything."""
    until = START + 100 * DAY
    rows = [(START, until - INSTANT)] + [(until - DAY, until - INSTANT)] * 99
    assert max(weigh(rows, until)) == WEIGHT_LIMIT


def test_no_rows_have_no_weights():
    """An empty history is not an error."""
    assert weigh([], START) == []


def test_weights_make_young_data_tell_the_share_won():
    """Where losses come quicker than wins, young closed rows show too few wins; their weighted share does not."""
    draw = np.random.default_rng(7)
    count, until = 20_000, START + 200 * DAY
    won = draw.random(count) < 0.4
    took = np.where(won, draw.uniform(20, 120, count), draw.uniform(0, 60, count))
    as_of = draw.uniform(0, 200, count)
    rows = [(START + start * DAY, START + (start + length) * DAY) for start, length in zip(as_of, took, strict=True)]
    weight = np.array(weigh(rows, until))
    seen = as_of + took < 200
    assert abs(won[seen].mean() - 0.4) > 0.04
    assert (weight > 0).tolist() == seen.tolist()
    assert np.average(won, weights=weight) == pytest.approx(0.4, abs=0.015)


def maturity_of(rows):
    """Give the maturity of (days that the outcome took, won) pairs."""
    schema = {"as_of": MOMENT, "known_at": MOMENT, "won": pl.Int64}
    dated = [[START, None if days is None else START + days * DAY, won] for days, won in rows]
    frame = pl.DataFrame(dated, schema=schema, orient="row")
    return maturity(frame["as_of"], frame["known_at"], frame["won"])


def test_maturity_is_the_slower_of_the_two_medians():
    """Half the wins and half the losses have come by then; open rows tell nothing."""
    quick_wins = [(1, 1), (3, 1), (500, 1)]
    slow_losses = [(10, 0), (20, 0), (16, 0)]
    assert maturity_of([*quick_wins, *slow_losses, (None, None)]) == 16 * DAY
    assert maturity_of([*quick_wins, (None, None)]) == 3 * DAY


def test_without_outcomes_every_age_is_mature():
    """Nothing known sets no bound."""
    assert maturity_of([(None, None)]) == maturity_of([]) == timedelta(0)
