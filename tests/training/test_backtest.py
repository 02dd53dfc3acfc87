"""Training and scoring replayed through time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from learning import BRIEF, LENIENT, SILENT, STRICT, UNTIL

from forecast.errors import InputError
from forecast.metrics import log_losses
from forecast.snapshot import cut_history
from training.backtest import replay, whole, window_bounds
from training.pipeline import train_win_model

START = UNTIL - timedelta(days=270)
MIDDLE = START + timedelta(days=90)
BOUNDS = [START, MIDDLE, UNTIL - timedelta(days=60)]
BUDGET = replace(BRIEF, trials=1)


def replayed(history, experiment=LENIENT, bounds=BOUNDS, subjects=None):
    """Replay with one trial a window."""
    cut = cut_history(history, bounds[-1])
    return list(replay(cut, experiment, bounds, subjects=subjects, budget=BUDGET, listener=SILENT))


@pytest.fixture(scope="module")
def parts(history):
    """Two windows of the small company."""
    return replayed(history)


def test_each_window_is_served_by_what_was_known_at_its_start(history, parts):
    """The version is the one that training at the start gives, and its probabilities are its own."""
    first = parts[0]
    run = train_win_model(
        cut_history(history, START),
        LENIENT,
        until=START,
        version_id=first.window.version,
        live=None,
        budget=BUDGET,
        listener=SILENT,
    )
    assert run.promotable
    assert first.window.basis == "own"
    assert first.rows["as_of"].min() >= START
    assert first.rows["as_of"].max() < MIDDLE
    assert set(first.rows["version"]) == {run.candidate.version}


def test_a_version_serves_until_a_later_one_passes(parts):
    """A training that fails its gates replaces nothing; the window is served by what passed before."""
    first, second = (part.window for part in parts)
    expected = f"{second.start:%Y%m%dT%H%M%S.%fZ}" if second.verdict.startswith("promoted") else first.version
    assert second.version == expected
    assert set(parts[1].rows["version"]) == {expected}


def test_the_past_cannot_be_changed_by_what_came_later(history, parts):
    """A first window looks the same whether or not the years after it are known, but for its outcomes."""
    (alone,) = replayed(history, bounds=BOUNDS[:2])
    keys = ["opportunity_id", "as_of", "probability", "prior"]
    assert alone.rows.select(keys).equals(parts[0].rows.select(keys))
    assert alone.window.judged < parts[0].window.judged


def test_figures_are_of_the_judged_rows(parts):
    """The log loss of a window is the weighted mean over its rows with a known outcome, of the whole over all windows."""
    rows = [part.rows.filter(pl.col("weight") > 0) for part in parts]
    assert [part.window.judged for part in parts] == [part.height for part in rows]
    for window, judged in [
        *((part.window, own) for part, own in zip(parts, rows, strict=True)),
        (whole(parts), pl.concat(rows)),
    ]:
        losses = log_losses(judged["won"].cast(float).to_numpy(), judged["probability"].to_numpy())
        assert window.log_loss == pytest.approx(np.average(losses, weights=judged["weight"].to_numpy()))
        assert window.log_loss < window.prior_log_loss


def test_given_subjects_are_judged_all_alike(history):
    """Asked for certain pairs, every one with a known outcome counts once, and no other row."""
    known = history.closings.filter(pl.col("closed_at") < BOUNDS[-1])["opportunity_id"].implode()
    subjects = history.opportunities.filter(pl.col("opportunity_id").is_in(known)).select(
        "opportunity_id", pl.col("created_at").alias("as_of")
    )
    (part,) = replayed(history, bounds=[MIDDLE, BOUNDS[-1]], subjects=subjects)
    within = subjects.filter(pl.col("as_of") >= MIDDLE, pl.col("as_of") < BOUNDS[-1])
    assert sorted(part.rows["opportunity_id"]) == sorted(within["opportunity_id"])
    assert set(part.rows["weight"]) == {1.0}


def test_where_nothing_passes_the_share_won_serves(history):
    """A failed training is said, and the prior scores."""
    (part,) = replayed(history, STRICT, bounds=[MIDDLE, BOUNDS[-1]])
    assert part.window.basis == "prior"
    assert "not promoted: gate" in part.window.verdict
    assert part.window.log_loss == part.window.prior_log_loss


def test_before_anything_closed_nothing_is_served(history):
    """A window without a past has no version, and says why."""
    early = history.opportunities["created_at"].min() + timedelta(days=1)
    (part,) = replayed(history, bounds=[early, early + timedelta(days=20)])
    assert part.window.version is None
    assert "nothing to learn from" in part.window.verdict
    assert part.rows.is_empty()


def test_windows_follow_the_calendar():
    """Months are calendar months, the last window ends where the backtest does, and nonsense is refused."""
    start, end = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)
    assert [moment.isoformat()[:10] for moment in window_bounds(start, end, "1mo")] == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-20",
    ]
    assert len(window_bounds(start, end, "30d")) == 3
    with pytest.raises(InputError, match='--every is "monthly", which is no length of time'):
        window_bounds(start, end, "monthly")
    with pytest.raises(InputError, match="there is no time from"):
        window_bounds(end, start, "1mo")
