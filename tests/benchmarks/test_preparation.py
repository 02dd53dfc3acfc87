from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from benchmarks.preparation import as_known, prepare, prepare_walk, shuffled
from benchmarks.sets import WinSet

SPLIT_AT = datetime(2024, 3, 1)  # noqa: DTZ001 the sets name no zone


@pytest.fixture
def win_set() -> WinSet:
    """Give one opportunity of every split, and one that closed at the very split."""
    rows = pl.DataFrame(
        [
            ("early", "2024-01-01", "2024-01-01", "2024-02-01", "won", "train"),
            ("edge", "2024-01-02", "2024-01-02", "2024-03-01", "lost", "train"),
            ("slow", "2024-02-01", "2024-02-01", "2024-04-01", "won", "purged"),
            ("asked", "2024-03-10", "2024-03-12T08:00:00", "2024-05-01", "won", "test"),
            ("new", "2024-03-11", "2024-03-11", "2024-03-12", "lost", "test"),
            ("waiting", "2024-02-05", "2024-02-05", None, None, "open"),
        ],
        schema=["id", "created_at", "as_of", "closed_at", "outcome", "split"],
        orient="row",
    )
    changes = pl.DataFrame(
        [
            ("early", "2024-01-05", "Proposal"),
            ("early", "2024-02-01", "Closed Won"),
            ("slow", "2024-02-10", "Proposal"),
            ("slow", "2024-03-20", "Negotiation"),
            ("asked", "2024-03-11", "Proposal"),
            ("asked", "2024-03-12 08:00:00", "Demo"),
            ("asked", "2024-03-12 08:00:00.001", "Negotiation"),
            ("asked", "2024-05-01", "Closed Won"),
        ],
        schema=["opportunity_id", "changed_at", "stage"],
        orient="row",
    )
    return WinSet(
        name="offers", features={}, time="as_of", split_at=SPLIT_AT, rows=rows, history={"stage_changes": changes}
    )


@pytest.fixture
def prepared(win_set, tmp_path):
    """Give the files of the set."""
    return prepare(win_set, tmp_path)


def test_outcomes_are_known_only_of_what_closed_before_the_split(prepared):
    """A row that is not for training, or closed at the split or later, is open again."""
    before, after = pl.read_csv(prepared.before[0]), pl.read_csv(prepared.after[0], infer_schema=False)
    assert before.drop_nulls("outcome")["id"].to_list() == ["early"]
    assert before.drop_nulls("closed_at")["id"].to_list() == ["early"]
    assert after.select("id", "outcome", "closed_at").rows() == [("asked", None, None), ("new", None, None)]


def test_as_known_teaches_what_had_closed_before_the_split(win_set, tmp_path):
    """A purged row that had closed by then is told with its outcome; one that had not stays open."""
    quick = win_set.rows.filter(pl.col("id") == "slow").with_columns(id=pl.lit("quick"), closed_at=pl.lit("2024-02-20"))
    known = as_known(replace(win_set, rows=pl.concat([win_set.rows, quick])))
    before = pl.read_csv(prepare(known, tmp_path).before[0])
    assert before.drop_nulls("outcome")["id"].to_list() == ["early", "quick"]
    assert "slow" in before["id"].to_list()


def test_history_is_cut_at_the_split_and_at_each_score(prepared):
    """Before training nothing of the split or later is told; before scoring nothing after a test row's own as_of."""
    before, after = pl.read_csv(prepared.before[1]), pl.read_csv(prepared.after[1])
    assert before.select("opportunity_id", "stage").rows() == [("early", "Proposal"), ("slow", "Proposal")]
    assert after.select("opportunity_id", "stage").rows() == [
        ("slow", "Negotiation"),
        ("asked", "Proposal"),
        ("asked", "Demo"),
    ]


def test_stages_that_tell_the_outcome_reach_no_file(prepared):
    """No file names a stage that is an outcome."""
    told = "".join(path.read_text() for path in [*prepared.before, *prepared.after])
    assert "Closed Won" not in told
    assert "Proposal" in told


def test_each_test_row_is_scored_at_its_own_moment(prepared):
    """An event at exactly as_of counts in the protocols, and the product's as_of is exclusive; at creation none is older."""
    pairs = pl.read_csv(prepared.pairs, infer_schema=False)
    assert pairs.rows() == [("asked", "2024-03-12T08:00:00.000001Z"), ("new", "2024-03-11T00:00:00.000000Z")]


def test_a_walk_tells_every_outcome_and_asks_for_the_test_rows(win_set, tmp_path):
    """All rows are written with their outcomes; those of the test are asked for at their creation, within the period."""
    files = prepare_walk(win_set, tmp_path)
    assert pl.read_csv(files.opportunities)["outcome"].drop_nulls().len() == 5
    asked = pl.read_csv(files.pairs, infer_schema=False)
    assert asked.rows() == [("asked", "2024-03-10T00:00:00Z"), ("new", "2024-03-11T00:00:00Z")]
    assert (files.start, files.end) == ("2024-03-10", "2024-03-12")


def test_rows_dated_by_the_month_walk_in_their_order(win_set, tmp_path):
    """Where only the order of the rows tells the day, they are spread evenly over their month, and none leaves it."""
    created = ["2024-02-01"] * 29 + ["2024-03-01"] * 31
    rows = pl.DataFrame({"id": [f"r{number:02d}" for number in range(60)], "created_at": created, "split": "test"})
    rows = rows.with_columns(outcome=pl.lit("won"), row=pl.int_range(60).cast(pl.String)).sample(
        60, shuffle=True, seed=3
    )
    files = prepare_walk(replace(win_set, rows=rows, time="row"), tmp_path)
    asked = pl.read_csv(files.pairs, infer_schema=False).sort("opportunity_id")["as_of"].to_list()
    assert asked[:2] == ["2024-02-01T00:00:00Z", "2024-02-02T00:00:00Z"]
    assert asked[28:30] == ["2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"]
    assert asked == sorted(asked)
    assert asked[-1] == "2024-03-31T00:00:00Z"
    assert (files.start, files.end) == ("2024-02-01", "2024-04-01")


def test_shuffling_touches_training_outcomes_only(win_set):
    """Shuffled outcomes keep their number, and the test rows theirs."""
    mixed = shuffled(win_set, seed=1, most=10)
    assert sorted(mixed.train["outcome"]) == sorted(win_set.train["outcome"])
    assert mixed.test.equals(win_set.test)
    assert mixed.rows.height == win_set.rows.height
    assert shuffled(win_set, seed=1, most=1).train.height == 1
