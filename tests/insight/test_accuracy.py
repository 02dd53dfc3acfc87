"""Past scores beside what happened."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecast.errors import TooLittleHistoryError
from forecast.insight.accuracy import GROUP_ROWS_MIN, accuracy_frame, measure_accuracy
from forecast.population import OPPORTUNITIES
from forecast.records import Opportunity, Score
from forecast.store import unit_of_work

MODEL = "win_probability"
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
UNTIL = {"v1": START}


def opportunity(name, status="open", closed_day=None, **values):
    """Make an opportunity created on the first day."""
    closed_at = None if closed_day is None else START + closed_day * DAY
    values = {"source": "fair", **values}
    return Opportunity(id=name, external_id=name, created_at=START, status=status, closed_at=closed_at, **values)


def score(record, day, probability, *, version="v1", grade="low", model=MODEL):
    """Make a score of a record at a day."""
    return Score(
        model=model,
        version=version,
        kind="opportunity",
        record_id=record,
        as_of=START + day * DAY,
        probability=probability,
        basis="own",
        grade=grade,
        latest=False,
    )


@pytest.fixture
def measured(engine):
    """Store records and scores, then measure."""

    def measure(*records, now=NOW):
        with unit_of_work(engine) as session:
            session.add_all(records)
        with unit_of_work(engine) as session:
            return measure_accuracy(session, MODEL, OPPORTUNITIES, known_until=UNTIL, now=now)

    return measure


def test_measures_by_hand(measured):
    """Log loss, Brier score, shares and calibration are those of the first score of each record in each month."""
    found = measured(
        opportunity("a", "won", 60),
        opportunity("b", "lost", 60),
        score("a", 1, 0.8, grade="high"),
        score("a", 5, 0.1),
        score("a", 40, 0.9, grade="high"),
        score("b", 1, 0.3),
    )
    whole = found.overall
    assert (found.kept, found.open, found.young, found.hindsight, whole.rows) == (3, 0, 0, 0, 3)
    assert whole.won_share == pytest.approx(2 / 3)
    assert whole.predicted == pytest.approx(2.0 / 3)
    assert whole.log_loss == pytest.approx(-np.log([0.8, 0.9, 0.7]).mean())
    assert whole.brier == pytest.approx(np.mean([0.04, 0.01, 0.09]))
    assert whole.calibration_error == pytest.approx(np.mean([0.2, 0.1, 0.3]))
    assert whole.constant_log_loss == pytest.approx(-(2 * np.log(2 / 3) + np.log(1 / 3)) / 3)
    assert [(part.rows, part.predicted, part.observed) for part in found.calibration] == [
        (1, 0.3, 0.0),
        (1, 0.8, 1.0),
        (1, 0.9, 1.0),
    ]
    groups = {(group.column, group.value): group.measures.rows for group in found.groups}
    assert groups == {
        ("month", "2026-01"): 2,
        ("month", "2026-02"): 1,
        ("grade", "high"): 2,
        ("grade", "low"): 1,
        ("version", "v1"): 3,
    }


def test_what_is_open_is_unknown_and_not_lost(measured):
    """Scores of open records are counted and judged by nobody."""
    found = measured(opportunity("a", "won", 60), opportunity("b"), score("a", 1, 0.8), score("b", 1, 0.3))
    assert (found.kept, found.open, found.overall.rows) == (2, 1, 1)


def test_hindsight_is_left_out(measured):
    """A version that knew what came after the score's moment, or that nobody knows, judges nothing."""
    found = measured(
        opportunity("a", "won", 60),
        score("a", 1, 0.8),
        score("a", 40, 0.99, version="v2"),
        score("a", -1, 0.99),
    )
    assert (found.hindsight, found.kept, found.overall.rows) == (2, 1, 1)


def test_the_quick_do_not_stand_for_all(measured):
    """Records younger than it takes to be won or lost are not judged, even if they have closed."""
    old = [opportunity(f"o{i}", "won" if i % 2 else "lost", 100) for i in range(10)]
    young = opportunity("young", "won", 205)
    young.created_at = START + 200 * DAY
    found = measured(*old, young, *(score(f"o{i}", 1, 0.5) for i in range(10)), score("young", 201, 0.5))
    assert (found.kept, found.young, found.overall.rows) == (11, 1, 10)


def test_outcomes_after_the_moment_are_not_known(measured):
    """Measured as of an earlier moment, later outcomes are open."""
    records = [opportunity("a", "won", 20), opportunity("b", "lost", 100), score("a", 1, 0.8), score("b", 1, 0.3)]
    found = measured(*records, now=START + 50 * DAY)
    assert (found.open, found.overall.rows) == (1, 1)


def test_segments_of_enough_scores_are_measured(measured):
    """A segment is what the record was then; small ones are left out."""
    many = [opportunity(f"o{i:02d}", "won", 60) for i in range(GROUP_ROWS_MIN)]
    found = measured(
        *many,
        opportunity("other", "lost", 60, source="web"),
        *(score(row.id, 1, 0.6) for row in many),
        score("other", 1, 0.4),
    )
    assert [(group.value, group.measures.rows) for group in found.groups if group.column == "source"] == [
        ("fair", GROUP_ROWS_MIN)
    ]
    table = accuracy_frame(found)
    assert table.filter(column="all")["rows"].to_list() == [GROUP_ROWS_MIN + 1]
    assert table.height == len(found.groups) + 1


def test_nothing_to_judge_is_said(measured):
    """Without a known outcome there is no figure, but a sentence."""
    with pytest.raises(
        TooLittleHistoryError, match=r"of 2 scores .*, 1 are by versions that knew .*, 1 of records still open"
    ):
        measured(opportunity("a"), score("a", 1, 0.8), score("a", 2, 0.8, version="v2"))
