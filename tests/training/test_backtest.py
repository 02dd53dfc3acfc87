"""Training and scoring replayed through time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from learning import BRIEF, SHORT, SILENT, UNTIL

from forecast.errors import InputError
from forecast.metrics import log_losses
from forecast.snapshot import cut_history
from training.backtest import replay, whole, window_bounds

START = UNTIL - timedelta(days=270)
MIDDLE = START + timedelta(days=90)
BOUNDS = [START, MIDDLE, UNTIL - timedelta(days=60)]
BUDGET = replace(BRIEF, trials=1)


def replayed(history, experiment=SHORT, bounds=BOUNDS, subjects=None, **options):
    """Replay with one trial a window."""
    cut = cut_history(history, bounds[-1])
    return list(replay(cut, experiment, bounds, subjects=subjects, budget=BUDGET, listener=SILENT, **options))


@pytest.fixture(scope="module")
def parts(history):
    """Two windows of the small company."""
    return replayed(history)


def version_id(window):
    """Give the id of what a training at the window's beginning makes."""
    return f"{window.start:%Y%m%dT%H%M%S.%fZ}"


def test_each_window_is_served_by_what_was_known_at_its_start(parts):
    """Rows are of their window; they are scored by its version if that passed, else by the last that had, else by the prior."""
    before = None
    for part in parts:
        window, passed = part.window, part.window.verdict.startswith("promoted")
        own = version_id(window) if passed else before
        assert window.version == (own or f"{version_id(window)}-prior")
        assert window.basis == ("own" if own else "prior")
        assert set(part.rows["version"]) == {window.version}
        assert window.start <= part.rows["as_of"].min() <= part.rows["as_of"].max() < window.end
        before = own


def test_the_past_cannot_be_changed_by_what_came_later(history, parts):
    """A first window looks the same whether or not the years after it are known, but for its outcomes."""
    (alone,) = replayed(history, bounds=BOUNDS[:2])
    keys = ["opportunity_id", "as_of", "probability", "prior"]
    assert alone.rows.select(keys).equals(parts[0].rows.select(keys))
    assert alone.window.judged < parts[0].window.judged


def test_the_level_follows_between_trainings(history):
    """Where nothing is won any more, versions recalibrated since the training score lower; every row is scored once."""
    lost = (pl.col("closed_at") >= START) & (pl.col("opportunity_id").str.slice(-1) != "7")
    turned = history.closings.with_columns(status=pl.when(lost).then(pl.lit("lost")).otherwise("status"))
    (part,) = replayed(replace(history, closings=turned), bounds=[BOUNDS[0], BOUNDS[-1]], recalibrate_every="12w")
    rows, window = part.rows, part.window
    assert rows.n_unique(["opportunity_id", "as_of"]) == rows.height == window.rows
    assert window.recalibrated > 0
    versions = rows.sort("as_of")["version"].unique(maintain_order=True).to_list()
    assert len(versions) == window.recalibrated + 1
    assert versions[0].removesuffix("-prior") == version_id(window)
    assert versions[-1] == window.version
    first, last = (rows.filter(version=version)["probability"].mean() for version in (versions[0], versions[-1]))
    assert last < first - 0.1


def test_figures_are_of_the_judged_rows(parts):
    """The log loss of a window is the weighted mean over its rows with a known outcome, of the whole over all windows."""
    rows = [part.rows.filter(pl.col("weight") > 0) for part in parts]
    assert [part.window.judged for part in parts] == [part.height for part in rows]
    assert min(part.height for part in rows) > 20
    windows = [part.window for part in parts]
    for window, judged in [*zip(windows, rows, strict=True), (whole(parts), pl.concat(rows))]:
        won, weight = judged["won"].cast(float).to_numpy(), judged["weight"].to_numpy()
        for loss, column in ((window.log_loss, "probability"), (window.prior_log_loss, "prior")):
            assert loss == pytest.approx(np.average(log_losses(won, judged[column].to_numpy()), weights=weight))


def test_given_subjects_are_judged_all_alike(history):
    """Asked for certain pairs, every one with a known outcome counts once, and no other; with too little to learn the prior scores."""
    early = history.closings["closed_at"].min() + timedelta(days=60)
    end = early + timedelta(days=90)
    known = history.closings.filter(pl.col("closed_at") < end)["opportunity_id"].implode()
    subjects = history.opportunities.filter(pl.col("opportunity_id").is_in(known)).select(
        "opportunity_id", pl.col("created_at").alias("as_of")
    )
    (part,) = replayed(history, bounds=[early, end], subjects=subjects)
    within = subjects.filter(pl.col("as_of") >= early, pl.col("as_of") < end)
    assert part.rows.height > 5
    assert sorted(part.rows["opportunity_id"]) == sorted(within["opportunity_id"])
    assert set(part.rows["weight"]) == {1.0}
    assert (part.window.basis, part.window.verdict.startswith("not promoted: ")) == ("prior", True)
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
