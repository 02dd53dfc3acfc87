import json

import numpy as np
import pytest
from scipy.special import expit, logit

from forecast.estimators.calibration import (
    CALIBRATORS,
    NOT_CALIBRATED,
    RARER_FOR_STEPS,
    Calibration,
    calibrators_for,
    venn_abers,
)
from forecast.metrics import log_losses

KINDS = tuple(CALIBRATORS)


def drawn(count, seed=1, stretch=2.0):
    """Draw log-odds that are `stretch` times too far out, and outcomes."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(0, 1.2, count)
    return stretch * truth, (draw.random(count) < expit(truth)).astype(float), np.ones(count)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_mends_log_odds_that_are_too_sure(kind):
    """On rows that it was not fitted on, the loss comes near that of the truth."""
    log_odds, won, weight = drawn(3000)
    found = CALIBRATORS[kind](won, log_odds, weight)
    later, outcomes, _ = drawn(3000, seed=2)
    before, after, best = (log_losses(outcomes, expit(z)).mean() for z in (later, found.of(later), later / 2))
    assert after < best + 0.35 * (before - best)
    assert found.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_changes_the_order(kind):
    """Higher log-odds never become lower than others, beyond what was seen either."""
    log_odds, won, weight = drawn(300, seed=3)
    grid = np.linspace(-12, 12, 500)
    assert (np.diff(CALIBRATORS[kind](won, log_odds, weight).of(grid)) >= -1e-9).all()


@pytest.mark.parametrize("kind", ["beta", "isotonic", "venn-abers"])
def test_bends_that_are_no_straight_line_are_followed(kind):
    """Where only the upper half is too sure, the lower half is left as it is."""
    draw = np.random.default_rng(4)
    truth = draw.normal(0, 1.5, 6000)
    found = CALIBRATORS[kind](
        (draw.random(6000) < expit(truth)).astype(float), np.where(truth > 0, 2 * truth, truth), np.ones(6000)
    )
    assert found.of(np.array([4.0]))[0] == pytest.approx(2.0, abs=0.6)
    assert found.of(np.array([-2.0]))[0] == pytest.approx(-2.0, abs=0.6)


def test_venn_abers_is_what_its_definition_says():
    """At a knot the probability is p1 / (1 - p0 + p1) of two isotonic fits by pooling of adjacent violators."""
    log_odds, won, weight = drawn(40, seed=5)
    found = venn_abers(won, log_odds, weight)
    knot = found.at[20]

    def pooled(outcome):
        rows = sorted([*zip(log_odds, won, strict=True), (knot, outcome)], key=lambda row: row[0])
        values = sorted({row[0] for row in rows})
        blocks = [
            [sum(y for x, y in rows if x == value), sum(1 for x, _ in rows if x == value), [value]] for value in values
        ]
        position = 0
        while position < len(blocks) - 1:
            (wins, count, _), (more, others, _) = blocks[position], blocks[position + 1]
            if wins / count > more / others:
                blocks[position] = [wins + more, count + others, blocks[position][2] + blocks.pop(position + 1)[2]]
                position = max(position - 1, 0)
            else:
                position += 1
        return next(wins / count for wins, count, held in blocks if knot in held)

    lost, gained = pooled(0.0), pooled(1.0)
    assert found.of(np.array([knot]))[0] == pytest.approx(logit(gained / (1 - lost + gained)), abs=1e-6)


def test_weights_count_as_rows():
    """A row of weight 3 is three rows."""
    log_odds, won, _ = drawn(200, seed=6)
    thrice = np.where(np.arange(200) % 2 == 0, 3.0, 1.0)
    repeated = np.repeat(np.arange(200), thrice.astype(int))
    for kind in ("sigmoid", "beta"):
        by_weight = CALIBRATORS[kind](won, log_odds, thrice).of(log_odds)
        by_row = CALIBRATORS[kind](won[repeated], log_odds[repeated], np.ones(len(repeated))).of(log_odds)
        assert by_weight == pytest.approx(by_row, abs=0.01)


def test_steps_need_outcomes_of_both_kinds():
    """Few won among many rows are enough for a curve, not for steps."""
    won = np.zeros(10_000)
    won[: RARER_FOR_STEPS - 1] = 1
    assert calibrators_for(won) == ("sigmoid", "beta")
    won[:RARER_FOR_STEPS] = 1
    assert calibrators_for(won) == KINDS


def test_parts_add_up_to_what_the_curve_gives():
    """Whatever the curve, the parts of a row add up to its calibrated log-odds, and keep their signs."""
    log_odds, won, weight = drawn(500, seed=7)
    found = CALIBRATORS["beta"](won, log_odds, weight)
    parts = np.random.default_rng(8).normal(0, 1, (50, 6))
    bent = found.of_parts(parts)
    assert bent.sum(axis=1) == pytest.approx(found.of(parts.sum(axis=1)), abs=1e-9)
    assert (bent[:, :-1] * parts[:, :-1] >= 0).all()
    still = np.zeros((1, 6))
    assert found.of_parts(still).sum() == pytest.approx(found.of(np.zeros(1))[0], abs=1e-9)


def test_no_calibration_is_nothing():
    """What is not calibrated is left as it is, bit for bit."""
    log_odds, _, _ = drawn(10)
    assert NOT_CALIBRATED.of(log_odds) is log_odds


def test_a_calibration_comes_back_from_json():
    """JSON gives the same curve."""
    found = CALIBRATORS["sigmoid"](*(drawn(50)[i] for i in (1, 0, 2)))
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
