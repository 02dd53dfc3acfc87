"""Changes found by record, field and moment, and the values that they tell of: how history is undone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

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

_MOMENT = pl.Datetime("us", "UTC")
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_NONE = -1
_ROWS_AT_ONCE = 100_000

Places = NDArray[np.int64]
_Keys = NDArray[np.uint64]
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class _Asked:
    """Records and places in the frame of changes, in the order of hashes; `order` leads back to the rows asked."""

    hashes: _Keys
    checks: _Keys
    places: _Keys
    order: Places

    def as_asked(self, values: NDArray[_Number]) -> NDArray[_Number]:
        """Put values in the order of the rows asked."""
        found = np.empty_like(values)
        found[self.order] = values
        return found


@dataclass(frozen=True)
class ChangeIndex:
    """Changes in the order of their moments, found by record, field and moment.

    A change's key is the first bits of its record's hash, then its field, then its place in the frame. Sorted keys are
    searched in the order of memory, many times faster than a join of as many texts. Records whose hashes begin alike are
    told apart by a second hash of 64 bits.

    Attributes:
        frame: as CHANGE_TYPES, ordered by moment, equal moments in the order they happened.
    """

    frame: pl.DataFrame

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Name the fields that have a change, sorted."""
        return tuple(self.frame["field"].unique().sort())

    @cached_property
    def _hashes(self) -> _Keys:
        return _hashes(self.frame["record_id"])

    @cached_property
    def _checks(self) -> _Keys:
        return _hashes(self.frame["record_id"], seed=1)

    @cached_property
    def _keys(self) -> _Keys:
        codes = pl.Series(range(len(self.fields)), dtype=pl.UInt64)
        fields = self.frame["field"].replace_strict(
            pl.Series(self.fields, dtype=pl.String), codes, return_dtype=pl.UInt64
        )
        return np.sort(self._first_bits(self._hashes) | (fields.to_numpy() << self._place_bits) | self._all_places)

    @property
    def _all_places(self) -> _Keys:
        return np.arange(self.frame.height, dtype=np.uint64)

    @property
    def _place_bits(self) -> np.uint64:
        return np.uint64(self.frame.height.bit_length())

    def _first_bits(self, hashes: _Keys) -> _Keys:
        used = self._place_bits + np.uint64(len(self.fields).bit_length())
        return (hashes >> used) << used

    def ask(self, record_ids: pl.Series, moments: pl.Series) -> _Asked:
        """Prepare to find the changes around moments of records; one that is missing is before all changes."""
        places = _search(_microseconds(self.frame["changed_at"]), _microseconds(moments.fill_null(_BEFORE_ALL)))
        hashes = _hashes(record_ids)
        order = np.argsort(hashes)
        checks = _hashes(record_ids, seed=1)
        return _Asked(hashes[order], checks[order], places[order].astype(np.uint64), order)

    def around(self, asked: _Asked, field: str) -> tuple[Places, Places]:
        """Find the last change of each record's field strictly before its moment, and the first one at it or later; or -1."""
        if field not in self.fields:
            nowhere = np.full(asked.order.size, _NONE, dtype=np.int64)
            return nowhere, nowhere
        code = np.uint64(self.fields.index(field)) << self._place_bits
        groups = self._first_bits(asked.hashes) | code
        at = np.searchsorted(self._keys, groups | asked.places)
        return self._find(asked, groups, at - 1, step=-1), self._find(asked, groups, at, step=1)

    def _find(self, asked: _Asked, groups: _Keys, at: Places, *, step: int) -> Places:
        """Go from each key on until a change is of the record asked for."""
        found = np.full(at.size, _NONE, dtype=np.int64)
        left = np.arange(at.size)
        while left.size:
            inside = (at >= 0) & (at < self._keys.size)
            left, at = left[inside], at[inside]
            change = self._keys[at] ^ groups[left]
            same = change >> self._place_bits == 0
            left, at, change = left[same], at[same], change[same].astype(np.int64)
            own = self._checks[change] == asked.checks[left]
            found[asked.order[left[own]]] = change[own]
            left, at = left[~own], at[~own] + step
        return found

    def tells_of(self, record_ids: pl.Series, field: str) -> pl.Series:
        """Tell of which records a field has any change."""
        if field not in self.fields:
            return pl.repeat(value=False, n=len(record_ids), eager=True)
        never = pl.repeat(None, len(record_ids), dtype=_MOMENT, eager=True)
        return pl.Series(self.around(self.ask(record_ids, never), field)[1] != _NONE)

    def before(self, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        """Give the changes of each row's record strictly before its `as_of`, in the order of rows, then of changes.

        Args:
            rows: `row, as_of` and the key.
            key: the column of the records' ids.

        Returns:
            `row, as_of` and the columns of CHANGE_TYPES, without `record_id`.
        """
        keys = np.sort(self._first_bits(self._hashes) | self._all_places)
        parts = list(rows.iter_slices(_ROWS_AT_ONCE)) or [rows]
        return pl.concat([self._before(keys, part, key) for part in parts])

    def _before(self, keys: _Keys, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        asked = self.ask(rows[key], rows["as_of"])
        groups = self._first_bits(asked.hashes)
        first = np.searchsorted(keys, groups)
        counts = np.searchsorted(keys, groups | asked.places) - first
        groups, checks = asked.as_asked(groups), asked.as_asked(asked.checks)
        first, counts = asked.as_asked(first), asked.as_asked(counts)
        row = np.repeat(np.arange(rows.height), counts)
        within = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
        change = (keys[first[row] + within] ^ groups[row]).astype(np.int64)
        own = self._checks[change] == checks[row]
        if not own.all():
            row, change = row[own], change[own]
        given = rows.select("row", "as_of").select(pl.all().gather(row))
        told = self.frame.select(pl.exclude("record_id").gather(change))
        return pl.concat([given, told], how="horizontal")


def _hashes(record_ids: pl.Series, *, seed: int = 0) -> _Keys:
    return record_ids.cast(pl.String).hash(seed).to_numpy()


def _microseconds(moments: pl.Series) -> Places:
    return moments.cast(_MOMENT).to_physical().to_numpy()


def _search(values: Places, asked: Places) -> Places:
    """Give how many of the sorted values are less than each; asked in sorted order, memory is read in one go."""
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
    asked = index.ask(rows[key], rows["as_of"])
    return known.with_columns(
        _value_before(index, asked, known[name]) for name in index.fields if name in records.columns
    )


def _value_before(index: ChangeIndex, asked: _Asked, stored: pl.Series) -> pl.Series:
    last, following = index.around(asked, stored.name)
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
