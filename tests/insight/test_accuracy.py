"""Past scores beside what happened."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from rich.console import Console

from forecast.errors import TooLittleHistoryError
from forecast.insight.accuracy import GROUP_ROWS_MIN, accuracy_frame, measure_accuracy
from forecast.insight.accuracy_table import render_accuracy
from forecast.population import OPPORTUNITIES
from forecast.records import Change, Opportunity, Score
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


def score(record, day, probability, *, version="v1", grade="low", model=MODEL, closing=None):
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
        closing=closing,
    )


def close_date_replaced(record, day):
    """Make the change by which a CRM replaces a close date of the fifth of March on closing."""
    return Change(
        kind="opportunity",
        record_id=record,
        field="expected_close_on",
        old_value="2026-03-05",
        new_value=f"{START + day * DAY:%Y-%m-%d}",
        origin="import",
        changed_at=START + day * DAY,
    )


def closing(won_by, low, middle, high, slips):
    """Make what a score says of days; its days are of March, its month ends of January and so on."""
    ends = ("2026-01-31", "2026-02-28", "2026-03-31")
    return {
        "expected_close_on": f"2026-03-{middle:02d}",
        "low": f"2026-03-{low:02d}",
        "high": f"2026-03-{high:02d}",
        "probability_of_slipping": slips,
        "won_by": [{"month_end": end, "probability": share} for end, share in zip(ends, won_by, strict=True)],
    }


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


def test_without_a_score_nothing_is_counted(measured):
    """Where no score is stored, that is said, and what gives some."""
    with pytest.raises(TooLittleHistoryError, match=r"no score of win_probability is stored; `forecast score"):
        measured(opportunity("a"))


def test_figures_are_whole_on_a_narrow_terminal(measured):
    """In 80 columns long names are folded, and no figure is cut."""
    found = measured(opportunity("a", "won", 60), opportunity("b", "lost", 60), score("a", 1, 0.8), score("b", 1, 0.3))
    group = replace(found.groups[0], column="account_region", value="20261122T114554.632793Z")
    narrow = Console(width=80)
    with narrow.capture() as told:
        narrow.print(render_accuracy(replace(found, groups=(group,)), "en"))
    assert "…" not in told.get()
    assert f"{found.overall.constant_log_loss:.4f}" in told.get()


def test_days_that_are_over_are_held_against_what_happened(measured):
    """Month ends, close dates, expected days and ranges count once they are over, those of open records too."""
    due = {"expected_close_on": date(2026, 3, 5)}
    found = measured(
        opportunity("a", "won", 45, **due),
        opportunity("b", "lost", 64, **due),
        opportunity("c", **due),
        close_date_replaced("a", 45),
        close_date_replaced("b", 64),
        score("a", 1, 0.8, closing=closing((0.1, 0.4, 0.7), 2, 10, 20, 0.6)),
        score("b", 1, 0.3, closing=closing((0.1, 0.2, 0.3), 2, 10, 20, 0.4)),
        score("c", 1, 0.3, closing=closing((0.1, 0.3, 0.5), 2, 10, 20, 0.2)),
        now=datetime(2026, 3, 20, tzinfo=UTC),
    )
    said = {promise.what: (promise.rows, promise.predicted, promise.came) for promise in found.dates}
    assert said == {
        "won by month end 1": (3, pytest.approx(0.1), 0.0),
        "won by month end 2": (3, pytest.approx(0.3), pytest.approx(1 / 3)),
        "open after its close date": (3, pytest.approx(0.4), pytest.approx(2 / 3)),
        "ended by the expected day": (3, 0.5, pytest.approx(2 / 3)),
        "ended before the range": (3, 0.1, pytest.approx(1 / 3)),
    }
    brier = {promise.what: promise.brier for promise in found.dates}
    assert brier["won by month end 2"] == pytest.approx(np.mean([0.36, 0.04, 0.09]))
    assert brier["ended by the expected day"] is None
    table = accuracy_frame(found).filter(column="dates")
    assert table["value"].to_list() == list(said)
    assert table["came"].to_list() == [came for _, _, came in said.values()]


def test_a_range_holds_what_ended_on_its_days(measured):
    """The first and the last day belong to the range; a close date that was over at the score says nothing of slipping."""
    days = {"a": 60, "b": 79.9, "c": 80.1, "d": 59.9}
    found = measured(
        *(opportunity(name, "lost", day, expected_close_on=date(2025, 12, 31)) for name, day in days.items()),
        *(score(name, 1, 0.3, closing=closing((0.1, 0.2, 0.3), 2, 10, 21, 1.0)) for name in days),
    )
    said = {promise.what: promise.came for promise in found.dates}
    assert said["ended within the range"] == pytest.approx(0.5)
    assert said["ended before the range"] == pytest.approx(0.25)
    assert "open after its close date" not in said


def test_close_dates_of_open_records_alone_say_nothing_of_slipping(measured):
    """Where the dates of closed records were replaced without a trace, slipping is not judged."""
    due = {"expected_close_on": date(2026, 3, 5)}
    said = closing((0.1, 0.4, 0.7), 2, 10, 20, 0.6)
    found = measured(
        opportunity("a", "won", 45, **due),
        opportunity("b", **due),
        score("a", 1, 0.8, closing=said),
        score("b", 1, 0.8, closing=said),
    )
    assert found.dates
    assert "open after its close date" not in {promise.what for promise in found.dates}


def test_scores_that_name_no_days_are_silent_about_them(measured):
    """A version without a win curve, and leads, say nothing that could be held against days."""
    assert measured(opportunity("a", "won", 60), score("a", 1, 0.8)).dates == ()
