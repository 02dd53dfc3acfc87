"""Finding changes by record, field and moment."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from forecast.snapshot.changes import CHANGE_TYPES, ChangeIndex, as_known

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


class Crowded(ChangeIndex):
    """An index in which the hashes of all records begin with one of four."""

    def _first_bits(self, hashes):
        return (hashes >> np.uint64(62)) << np.uint64(62)


def random_changes(random, count):
    """Make changes of a few records and fields, many of them at the same moment."""
    rows = [
        (f"r{record}", f"f{field}", BEGIN + timedelta(days=int(day)), f"old{place}", f"new{place}")
        for place, (record, field, day) in enumerate(
            zip(
                random.integers(0, 6, count),
                random.integers(0, 3, count),
                np.sort(random.integers(0, 8, count)),
                strict=True,
            )
        )
    ]
    return pl.DataFrame(rows, schema=CHANGE_TYPES, orient="row")


def asked_rows():
    """Ask for every record, one that has no change and a missing one among them, at every moment and at none."""
    records = [*(f"r{record}" for record in range(7)), None]
    moments = [None, *(BEGIN + timedelta(hours=12 * half) for half in range(-1, 18))]
    asked = [(record, moment) for record in records for moment in moments]
    schema = {"key": pl.String(), "as_of": pl.Datetime("us", "UTC")}
    return pl.DataFrame(asked, schema=schema, orient="row").with_row_index("row")


def value_before(changes, record, field, moment):
    """Rebuild one value by a loop."""
    own = [one for one in changes.iter_rows(named=True) if (one["record_id"], one["field"]) == (record, field)]
    earlier = [one for one in own if moment is not None and one["changed_at"] < moment]
    if earlier:
        return earlier[-1]["new_value"]
    return own[0]["old_value"] if own else f"stored {field}"


@pytest.mark.parametrize("index", [ChangeIndex, Crowded])
@pytest.mark.parametrize("seed", range(6))
def test_values_are_those_of_a_plain_loop(index, seed):
    """As known strictly before each moment, also where records share the beginning of their hash."""
    changes = random_changes(np.random.default_rng(seed), count=seed * 12)
    records = pl.DataFrame({"key": [f"r{record}" for record in range(7)]}).with_columns(
        pl.lit(f"stored f{field}").alias(f"f{field}") for field in range(3)
    )
    found = as_known(asked_rows(), records, index(changes), "key").filter(pl.col("key").is_not_null())
    for row in found.iter_rows(named=True):
        for field in ("f0", "f1", "f2"):
            assert row[field] == value_before(changes, row["key"], field, row["as_of"])


@pytest.mark.parametrize("index", [ChangeIndex, Crowded])
@pytest.mark.parametrize("seed", range(6))
def test_earlier_changes_are_those_of_a_plain_loop(index, seed):
    """In the order of rows, then of changes; a row without a moment has none."""
    changes = random_changes(np.random.default_rng(seed), count=seed * 12)
    rows = asked_rows()
    found = index(changes).before(rows, "key")
    expected = [
        (row["row"], one["new_value"])
        for row in rows.iter_rows(named=True)
        for one in changes.iter_rows(named=True)
        if row["as_of"] is not None and one["record_id"] == row["key"] and one["changed_at"] < row["as_of"]
    ]
    assert found.select("row", "new_value").rows() == expected
    assert found.columns == ["row", "as_of", "field", "changed_at", "old_value", "new_value"]


def test_a_field_tells_of_the_records_that_it_changed_in():
    """Of those, and of no other."""
    changes = pl.DataFrame(
        [("a", "stage", BEGIN, None, "x"), ("b", "amount", BEGIN, None, "1")], CHANGE_TYPES, orient="row"
    )
    ids = pl.Series(["a", "b", "c", None])
    assert ChangeIndex(changes).tells_of(ids, "stage").to_list() == [True, False, False, False]
    assert ChangeIndex(changes).tells_of(ids, "owner_id").to_list() == [False] * 4
