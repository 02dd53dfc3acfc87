from dataclasses import replace

import numpy as np
import pytest
from learning import EXPERIMENT
from scipy.special import expit

from training.gates import LIVE_GATE, Judged, decide_gates, measure, verdict

RULES = EXPERIMENT.gates
NARROW = replace(RULES, slope_max=1.6)
NAMES = [
    "beats the prior on log loss",
    "beats the prior on Brier score",
    "beats age and calendar alone on log loss",
    "beats age and calendar alone on Brier score",
    "no worse than logistic regression on log loss",
    "no worse than logistic regression on Brier score",
    "calibrated",
    "neither too sure nor too timid",
    "not too good to be true",
    "calibrated in each large segment",
    "no worse than the live version on log loss",
    "no worse than the live version on Brier score",
]


@pytest.fixture(scope="module")
def log_odds():
    """Log-odds of the true probabilities."""
    return np.random.default_rng(1).normal(-0.5, 1.3, 1500)


@pytest.fixture(scope="module")
def good(log_odds):
    """Rows on which ours says the truth and every yardstick less."""
    draw = np.random.default_rng(2)
    count = len(log_odds)
    return Judged(
        won=(draw.random(count) < expit(log_odds)).astype(float),
        weight=np.ones(count),
        groups=np.arange(count),
        ours=expit(log_odds),
        prior=np.full(count, 0.4),
        clock=expit(-0.4 + draw.normal(0, 0.1, count)),
        logistic=expit(0.8 * log_odds + draw.normal(0, 0.3, count)),
        live=expit(0.5 * log_odds),
    )


@pytest.fixture(scope="module")
def blurred(log_odds):
    """Give probabilities that know something, but less than all."""
    return expit(0.8 * log_odds + np.random.default_rng(3).normal(0, 0.5, len(log_odds)))


def failed(judged, rules=RULES):
    """List the names of the gates that fail."""
    return [gate.name for gate in decide_gates(judged, rules, seed=1) if not gate.passed]


def test_a_good_version_passes_every_gate(good):
    """One that says the truth, and more than its yardsticks, may be served; gates are numbered in their order."""
    gates = decide_gates(good, RULES, seed=1)
    assert [(gate.number, gate.name, gate.passed) for gate in gates] == [
        (number, name, True) for number, name in enumerate(NAMES, start=1)
    ]
    assert verdict(gates) == "promoted: every gate passed"


def test_without_a_live_version_there_is_nothing_to_compare_with(good):
    """The last two gates are there only where a version is live."""
    assert [gate.name for gate in decide_gates(replace(good, live=None), RULES, seed=1)] == NAMES[: LIVE_GATE - 1]


@pytest.mark.parametrize(
    ("yardstick", "expected"),
    [("prior", NAMES[:2]), ("clock", NAMES[2:4]), ("logistic", NAMES[4:6]), ("live", NAMES[10:])],
)
def test_a_better_yardstick_stops_a_version(good, blurred, yardstick, expected):
    """Where a yardstick says the truth and ours a blurred one, both losses fail that yardstick's gates and no other."""
    weaker = dict.fromkeys(("prior", "clock", "logistic", "live"), good.prior)
    assert failed(replace(good, ours=blurred, **weaker | {yardstick: good.ours})) == expected


@pytest.mark.parametrize(("yardstick", "expected"), [("logistic", []), ("live", []), ("prior", NAMES[:2])])
def test_being_equal_is_enough_only_where_no_worse_is_asked(good, yardstick, expected):
    """A version equal to logistic regression or the live one may be served, one equal to the prior not."""
    assert failed(replace(good, **{yardstick: good.ours})) == expected


@pytest.mark.parametrize(("worse", "expected"), [(1e-4, []), (3e-2, ["no worse than the live version on log loss"])])
def test_what_is_surely_but_hardly_worse_is_not_worse(good, worse, expected):
    """Where every row's loss is a little higher, the difference is sure; below a thousandth of the loss it refuses nothing."""
    ours = np.where(good.won == 1, good.ours * np.exp(-worse), 1 - (1 - good.ours) * np.exp(-worse))
    found = decide_gates(replace(good, ours=ours, live=good.ours, logistic=good.prior), RULES, seed=1)
    assert [gate.name for gate in found if not gate.passed][:1] == expected
    assert found[LIVE_GATE - 1].sentence.endswith("; by too little to count") == (not expected)


@pytest.mark.parametrize(("confidence", "passed"), [(0.6, True), (0.95, False)])
def test_a_gain_that_may_be_chance_is_not_enough(good, log_odds, confidence, passed):
    """A version a little better than its yardstick beats it only where no more confidence is asked for than there is."""
    few = Judged(
        **{name: getattr(good, name)[:60] for name in ("won", "weight", "groups", "prior", "clock", "logistic")},
        ours=expit(0.5 * log_odds + np.random.default_rng(6).normal(0, 0.8, 1500))[:60],
        live=None,
    )
    gate = decide_gates(few, replace(RULES, confidence=confidence), seed=1)[0]
    assert gate.passed == passed, gate.sentence


def test_each_loss_is_judged_by_itself(good):
    """A few rows on which ours was far too sure spoil the log loss and hardly the Brier score."""
    ours = good.ours.copy()
    ours[np.flatnonzero(good.won == 1)[:25]] = 1e-6
    assert NAMES[0] in failed(replace(good, ours=ours))
    assert NAMES[1] not in failed(replace(good, ours=ours))


def test_a_large_segment_that_is_far_off_is_stopped(good):
    """Where the whole is right and one region is told what another should be, that region is named."""
    north = np.arange(len(good.won)) % 2 == 0
    ours = np.where(north, np.minimum(good.ours + 0.25, 0.99), np.maximum(good.ours - 0.25, 0.01))
    wrong = replace(good, ours=ours, segments={"account_region north": north, "account_region south": ~north})
    gate = decide_gates(wrong, RULES, seed=1)[9]
    assert not gate.passed
    assert "account_region" in gate.sentence
    assert decide_gates(replace(wrong, ours=good.ours), RULES, seed=1)[9].passed


@pytest.mark.parametrize("shift", [-0.9, 0.9])
def test_probabilities_that_are_all_too_high_or_too_low_are_stopped(good, log_odds, shift):
    """An average gap of more than the bound fails the gate of calibration, while order and slope are right."""
    found = failed(replace(good, ours=expit(log_odds + shift)))
    assert "calibrated" in found
    assert "neither too sure nor too timid" not in found
    assert "beats the prior on log loss" not in found


@pytest.mark.parametrize(("prior", "passed"), [(0.4, False), (0.1, True)])
def test_a_gap_is_excused_where_what_would_be_served_instead_is_further_off(good, log_odds, prior, passed):
    """Where the share won has moved, so that the prior is off beyond the bound and clearly worse, ours is served, and this is said."""
    ours, everyone = expit(log_odds - 1.3), np.ones(1500, bool)
    moved = replace(good, ours=ours, prior=np.full(1500, prior), live=None, segments={"everyone": everyone})
    gates = {gate.name: gate for gate in decide_gates(moved, RULES, seed=1)}
    for name in ("calibrated", "calibrated in each large segment"):
        assert gates[name].passed == passed
        assert ("the share won has moved" in gates[name].sentence) == passed


def test_a_gap_is_not_excused_where_the_prior_is_off_but_closer(good, log_odds):
    """A prior that is off is no excuse for what is further from the truth."""
    assert "calibrated" in failed(replace(good, ours=expit(log_odds - 3.5), prior=np.full(1500, 0.25)))


def test_the_regression_is_no_better_for_another_level(good, log_odds):
    """Where ours tells opportunities apart as the regression does, a wrong level fails no gate of the regression's."""
    found = failed(replace(good, ours=expit(log_odds - 0.5), logistic=good.ours))
    assert not set(NAMES[4:6]) & set(found)


@pytest.mark.parametrize(("count", "passed"), [(60, True), (1500, False)])
def test_a_gap_that_chance_explains_is_forgiven(good, count, passed):
    """On few rows bins differ from their predictions by chance; the same gap on many rows is not forgiven."""
    ours = np.minimum(good.ours + 0.08, 0.999)
    few = Judged(
        **{name: getattr(good, name)[:count] for name in ("won", "weight", "groups", "prior", "clock", "logistic")},
        ours=ours[:count],
        live=None,
    )
    gate = decide_gates(few, replace(RULES, calibration_error_max=0.03), seed=1)[6]
    assert gate.passed == passed


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_version_too_sure_or_too_timid_is_stopped(good, log_odds, factor):
    """Log-odds stretched or shrunk beyond the bounds of the slope fail its gate."""
    gates = decide_gates(replace(good, ours=expit(factor * log_odds)), NARROW, seed=1)
    assert "neither too sure nor too timid" in {gate.name for gate in gates if not gate.passed}


def test_a_version_too_good_to_be_true_is_stopped(good):
    """One that nearly always knows has seen the outcome."""
    assert "not too good to be true" in failed(replace(good, ours=np.where(good.won == 1, 0.97, 0.03)))


def test_noise_is_stopped_for_want_of_signal(good):
    """Random probabilities beat neither the share won nor the calendar, and the verdict says that nothing was found."""
    noise = expit(np.random.default_rng(5).normal(-0.4, 0.3, 1500))
    gates = decide_gates(replace(good, ours=noise), RULES, seed=1)
    assert set(NAMES[:4]) <= {gate.name for gate in gates if not gate.passed}
    assert verdict(gates).startswith(
        "no signal found: not promoted: gate 1 (beats the prior on log loss): log loss at "
    )


def test_a_version_with_signal_is_told_what_else_it_lacks(good, log_odds):
    """Where signal was found the verdict names the failed gates with their number and sentence, and no others."""
    gates = decide_gates(replace(good, ours=expit(0.4 * log_odds), logistic=good.prior, live=None), NARROW, seed=1)
    (gate,) = [gate for gate in gates if not gate.passed]
    assert verdict(gates) == f"not promoted: gate 8 (neither too sure nor too timid): {gate.sentence}"


def test_every_sentence_says_what_was_found_and_what_was_asked(good):
    """Figures stand beside their bounds, from the rules in force."""
    rules = replace(RULES, confidence=0.9, calibration_error_max=0.05, slope_min=0.7, slope_max=1.3, auc_max=0.97)
    sentences = [gate.sentence for gate in decide_gates(good, rules, seed=1)]
    found = measure(good.won, good.ours, good.weight)
    assert sentences[0].startswith("log loss at the right level ")
    assert sentences[0].endswith("of bootstrap draws (asked for: 90%)")
    assert sentences[4].startswith("log loss at the right level ")
    assert sentences[10].startswith(f"log loss {found['log_loss']:.4f} against ")
    assert sentences[11].startswith(f"Brier score {found['brier']:.4f} against ")
    assert sentences[5].endswith("(asked for: below 90%)")
    assert sentences[6].startswith(f"expected calibration error {found['calibration_error']:.3f}, of which ")
    assert sentences[6].endswith("(asked for: at most 0.05 beyond chance)")
    assert sentences[7] == f"calibration slope {found['calibration_slope']:.2f} (asked for: 0.7 to 1.3)"
    assert sentences[8].startswith(f"AUC {found['auc']:.3f} (above 0.97 ")


def test_rows_of_one_opportunity_are_one_piece_of_evidence(good, blurred):
    """Every row ten times over, in its own group, makes no gate surer."""
    once = replace(good, ours=blurred, logistic=good.ours)
    arrays = ("won", "weight", "groups", "ours", "prior", "clock", "logistic", "live")
    often = Judged(**{name: np.repeat(getattr(once, name), 10) for name in arrays})
    assert [gate.sentence for gate in decide_gates(often, RULES, seed=1)[:6]] == [
        gate.sentence for gate in decide_gates(once, RULES, seed=1)[:6]
    ]


def test_weights_decide_how_much_a_row_counts(good):
    """Rows of no weight change neither losses nor ranking."""
    half = np.arange(1500) % 2 == 0
    spoilt = np.where(half, good.ours, 1 - good.won)
    weighed = measure(good.won, spoilt, half.astype(float))
    alone = measure(good.won[half], good.ours[half], np.ones(750))
    for name in ("won_share", "auc", "log_loss", "brier", "calibration_slope"):
        assert weighed[name] == pytest.approx(alone[name], rel=1e-4)


def test_a_gate_is_kept_as_plain_values(good):
    """A gate's JSON has what the card, the API and the promotion read."""
    assert decide_gates(good, RULES, seed=1)[8].to_json() == {
        "name": "not too good to be true",
        "number": 9,
        "passed": True,
        "shows_signal": False,
        "sentence": decide_gates(good, RULES, seed=1)[8].sentence,
    }


def test_a_better_level_alone_is_no_signal(good):
    """Probabilities that say nothing but the right share won do not beat a prior that has it wrong."""
    level = np.full(len(good.won), good.won.mean())
    gates = decide_gates(replace(good, ours=level, prior=np.full(len(level), 0.9), live=None), RULES, seed=1)
    assert [gate.passed for gate in gates[:2]] == [False, False]
