"""Changes found by record, field and moment, and the values that they tell of: how history is undone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

CHANGE_TYPES = pl.Schema(
    {
        "record_id": pl.String(),
        "field": pl.String(),
        "changed_at": pl.Datetime("us", "UTC"),
        "old_value": pl.String(),
        "new_value": pl.String(),
    }
)

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_NONE = -1
_ROWS_AT_ONCE = 100_000

Places = NDArray[np.int64]
_Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class ChangeIndex:
    """Changes in the order of their moments, found by record and field.

    A change's key is the first bits of a hash of record and field, then its place in the frame. Sorted keys are searched
    in the order of memory: many times faster than a join of as many texts, and the time grows with the size only.

    Attributes:
        frame: as CHANGE_TYPES, ordered by moment, equal moments in the order they happened.
    """

    frame: pl.DataFrame

    @cached_property
    def _keys(self) -> _Keys:
        return self._sorted_keys(_hashes(self.frame["record_id"], self.frame["field"]))

    def _sorted_keys(self, hashes: _Keys) -> _Keys:
        return np.sort(self._group(hashes) | np.arange(self.frame.height, dtype=np.uint64))

    def _group(self, hashes: _Keys) -> _Keys:
        place_bits = np.uint64(self.frame.height.bit_length())
        return (hashes >> place_bits) << place_bits

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Name the fields that have a change, sorted."""
        return tuple(self.frame["field"].unique().sort())

    def places(self, moments: pl.Series) -> Places:
        """Count the changes strictly before each moment, the place of the first one at it or later; 0 where it is missing."""
        return _search(_microseconds(self.frame["changed_at"]), _microseconds(moments.fill_null(_BEFORE_ALL)))

    def last_before(self, record_ids: pl.Series, field: str, places: Places) -> Places:
        """Find the last change of each record's field before a place, or -1."""
        return self._find(record_ids, field, places, step=-1)

    def first_from(self, record_ids: pl.Series, field: str, places: Places) -> Places:
        """Find the first change of each record's field at a place or after it, or -1."""
        return self._find(record_ids, field, places, step=1)

    def tells_of(self, record_ids: pl.Series, field: str) -> pl.Series:
        """Tell of which records a field has any change."""
        everything = np.zeros(len(record_ids), dtype=np.int64)
        return pl.Series(self.first_from(record_ids, field, everything) != _NONE)

    def _find(self, record_ids: pl.Series, field: str, places: Places, *, step: int) -> Places:
        """Search from each place on, until a change is the record's own: others may share the first bits of its hash."""
        found = np.full(len(record_ids), _NONE, dtype=np.int64)
        if field not in self.fields:
            return found
        groups = self._group(_hashes(record_ids, pl.repeat(field, len(record_ids), eager=True)))
        at = _search(self._keys, groups | places.astype(np.uint64)) - (step < 0)
        left = np.arange(len(record_ids))
        while left.size:
            inside = (at >= 0) & (at < self._keys.size)
            left, at = left[inside], at[inside]
            keys = self._keys[at]
            same_group = self._group(keys) == groups[left]
            left, at, keys = left[same_group], at[same_group], keys[same_group]
            change = (keys ^ groups[left]).astype(np.int64)
            own = self._is_of(change, record_ids.gather(left), field)
            found[left[own]] = change[own]
            left, at = left[~own], at[~own] + step
        return found

    def before(self, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        """Give the changes of each row's record strictly before its `as_of`, in the order of rows, then of changes.

        Args:
            rows: `row, as_of` and the key.
            key: the column of the records' ids.

        Returns:
            `row, as_of` and the columns of CHANGE_TYPES, without `record_id`.
        """
        keys = self._sorted_keys(_hashes(self.frame["record_id"]))
        parts = list(rows.iter_slices(_ROWS_AT_ONCE)) or [rows]
        return pl.concat([self._before(keys, part, key) for part in parts])

    def _before(self, keys: _Keys, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        groups = self._group(_hashes(rows[key]))
        first = _search(keys, groups)
        counts = _search(keys, groups | self.places(rows["as_of"]).astype(np.uint64)) - first
        row = np.repeat(np.arange(rows.height), counts)
        within = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
        change = (keys[first[row] + within] ^ groups[row]).astype(np.int64)
        own = (rows[key].gather(row) == self.frame["record_id"].gather(change)).fill_null(value=False)
        asked = rows.select("row", "as_of").select(pl.all().gather(row))
        told = self.frame.select(pl.exclude("record_id").gather(change))
        return pl.concat([asked, told], how="horizontal").filter(own)

    def _is_of(self, places: Places, record_ids: pl.Series, field: str) -> NDArray[np.bool_]:
        same_record = self.frame["record_id"].gather(places) == record_ids
        return (same_record & (self.frame["field"].gather(places) == field)).fill_null(value=False).to_numpy()


def _hashes(*columns: pl.Series) -> _Keys:
    return (
        pl.DataFrame([column.cast(pl.String).alias(f"{place}") for place, column in enumerate(columns)])
        .hash_rows()
        .to_numpy()
    )


def _microseconds(moments: pl.Series) -> Places:
    return moments.cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()


def _search(values: NDArray[np.generic], asked: NDArray[np.generic]) -> Places:
    """Give where each value would stand in sorted ones, before its equals; in sorted order memory is read in one go."""
    order = np.argsort(asked)
    found = np.empty(asked.size, dtype=np.int64)
    found[order] = np.searchsorted(values, asked[order])
    return found


def as_known(rows: pl.DataFrame, records: pl.DataFrame, changes: ChangeIndex | pl.DataFrame, key: str) -> pl.DataFrame:
    """Rebuild each row's columns as they stood strictly before its `as_of`.

    The value is the one set by the last change before `as_of`; else the one that the next change replaced; else, where
    no change of that field is recorded, the one stored. A row without a moment stands before all changes.

    Args:
        rows: `row, as_of`, the key, and what else is to be kept.
        records: the key and columns as stored.
        changes: as CHANGE_TYPES, ordered by moment.
        key: the column of the records' ids.
    """
    index = changes if isinstance(changes, ChangeIndex) else ChangeIndex(changes)
    known = rows.join(records, on=key, how="left", maintain_order="left")
    places = index.places(rows["as_of"])
    return known.with_columns(
        _value_before(index, rows[key], places, known[name]) for name in index.fields if name in records.columns
    )


def _value_before(index: ChangeIndex, record_ids: pl.Series, places: Places, stored: pl.Series) -> pl.Series:
    last = index.last_before(record_ids, stored.name, places)
    following = index.first_from(record_ids, stored.name, places)
    both = pl.DataFrame(
        {
            "stored": stored,
            "set_before": last != _NONE,
            "set": _values(index, "new_value", last, stored.dtype),
            "replaced_after": following != _NONE,
            "replaced": _values(index, "old_value", following, stored.dtype),
        }
    )
    return both.select(
        pl.when("set_before").then("set").when("replaced_after").then("replaced").otherwise("stored").alias(stored.name)
    ).to_series()


def _values(index: ChangeIndex, column: str, places: Places, kind: pl.DataType) -> pl.Series:
    found = pl.Series(places)
    return _parsed(index.frame[column].gather(found.set(found == _NONE, None)), kind)


def _parsed(text: pl.Series, kind: pl.DataType) -> pl.Series:
    if kind == pl.Boolean:
        return text.replace_strict(
            {"true": True, "t": True, "false": False, "f": False}, default=None, return_dtype=kind
        )
    if kind == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    return text.cast(kind, strict=False)
