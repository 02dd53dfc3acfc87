"""Load one table into the records: the quick way where what its first rows show holds for all, else row by row of each id.

The quick way decides how the file is read from its first rows and stores them while the others are still being looked at.
Where those tell otherwise, or an id comes twice, all of it is undone and the file is read again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import polars as pl
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg.errors import UniqueViolation
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from forecast.intake import vocabulary
from forecast.intake.chunks import Chunk
from forecast.intake.files import TableFile, read_chunks
from forecast.intake.history import create_change_staging, stage_changes, store_changes, typed_changes
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.plan import CustomColumn, Plan, Planning, make_plan
from forecast.intake.rejects import RejectsFile
from forecast.intake.rows import TypedRows, typed_rows
from forecast.intake.staging import Counts, Staging
from forecast.intake.upsert import create_staging, holds_source, lock_kind, of_version, stage, store_staged
from forecast.merging import Redirects, read_redirects, redirect_changes, redirect_rows
from forecast.records import CustomField
from forecast.store import as_lines, copy_lines, filling, read_integers

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """What became of the rows of a table.

    Attributes:
        plan: how they were read.
        read: how many there are.
        open_but_closed: rows that are open and had a close moment.
        redirected: references to merged records, which name the kept ones now.
        merged: rows of merged records, which update their tombstones.
        counts: what was stored.
    """

    plan: Plan
    read: int
    open_but_closed: int
    redirected: int
    merged: int
    counts: Counts


@dataclass
class _Load:
    """One table on its way into the records."""

    session: Session
    plan: Plan
    rejects: RejectsFile
    imported_at: datetime
    redirects: Redirects
    read: int = field(default=0, init=False)
    open_but_closed: int = field(default=0, init=False)
    redirected: int = field(default=0, init=False)
    merged: int = field(default=0, init=False)

    def typed(self, chunks: Iterable[Chunk]) -> Iterator[TypedRows]:
        """Read chunks as planned, the next while the database takes the last; refused rows are written on the way."""
        for chunk, rows in _one_ahead((chunk, self.rows(chunk)) for chunk in chunks):
            self.count(chunk, rows)
            yield rows

    def rows(self, chunk: Chunk) -> TypedRows:
        """Read a chunk as planned; what names a merged record names the one that was kept."""
        rows = typed_rows(chunk, self.plan, self.imported_at)
        frame, redirected, merged = redirect_rows(rows.frame, self.plan.kind, self.redirects)
        self.redirected += redirected
        self.merged += merged
        return replace(rows, frame=frame)

    def count(self, chunk: Chunk, rows: TypedRows) -> None:
        """Add a chunk to what was read, and its refused rows to the rejects."""
        self.rejects.add((number, cells, trouble) for number, (cells, trouble) in rows.refused.items())
        self.read += chunk.read
        self.open_but_closed += rows.open_but_closed

    def loaded(self, counts: Counts) -> Loaded:
        """Sum up."""
        return Loaded(self.plan, self.read, self.open_but_closed, self.redirected, self.merged, counts)


def load_table(
    session: Session, table: TableFile, mapping: ColumnMapping, *, rejects: RejectsFile, imported_at: datetime
) -> Loaded:
    """Store the rows of a table as a mapping says; what it leaves open is recognised.

    Raises:
        FileError: the file stops being readable on the way.
        MappingError: the mapping does not fit the file.
    """
    kind = mapping.kind or ""
    lock_kind(session, kind)
    declared = _declared(session, kind)
    planning = Planning(table, mapping, declared)
    redirects = read_redirects(session)
    with session.begin_nested() as attempt:
        chunks = _seen(read_chunks(table), planning)
        first = list(islice(chunks, 1))
        load = _Load(session, planning.plan(), rejects, imported_at, redirects)
        loaded = _load_quickly(load, chain(first, _one_ahead(chunks)))
        plan = planning.plan() if loaded else make_plan(table, read_chunks(table), mapping, declared)
        is_loaded = loaded is not None and plan.reads_as(load.plan)
        if not is_loaded:
            attempt.rollback()
    if loaded is None or not is_loaded:
        rejects.restart()
        loaded = _load_exactly(_Load(session, plan, rejects, imported_at, redirects), read_chunks(table))
    _declare(session, plan)
    return replace(loaded, plan=plan)


def _declared(session: Session, kind: str) -> dict[str, CustomColumn]:
    found = session.scalars(sa.select(CustomField).where(CustomField.kind == kind))
    return {field.name: CustomColumn(field.type, field.time, field.label) for field in found}  # type: ignore[arg-type]  # one of TimeKind


def _declare(session: Session, plan: Plan) -> None:
    """Register the custom fields of a file; one whose cells disagree with its declaration becomes text."""
    for name, custom in plan.customs.items():
        new = insert(CustomField).values(
            kind=plan.kind, name=name, type=custom.type, time=custom.time, label=custom.label
        )
        changed = new.on_conflict_do_update(index_elements=["kind", "name"], set_={"type": custom.type})
        session.execute(changed if name in plan.cleared else new.on_conflict_do_nothing())


def _seen(chunks: Iterable[Chunk], planning: Planning) -> Iterator[Chunk]:
    for chunk in chunks:
        planning.see(chunk)
        yield chunk


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Make the next item while the database takes the last."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def _load_quickly(load: _Load, chunks: Iterable[Chunk]) -> Loaded | None:
    """Store rows that are new or unchanged for the most part; None where an id comes twice."""
    if load.plan.kind == "change":
        return _load_changes(load, chunks)
    target = vocabulary.record_table(load.plan.kind)
    if holds_source(load.session, target, load.plan.source_system):
        return _load_unknown(load, chunks, target)
    try:
        return _load_new(load, chunks, target)
    except UniqueViolation:
        return None


def _load_exactly(load: _Load, chunks: Iterable[Chunk]) -> Loaded:
    """Store rows that may be new, known or repeated, those of one id in their order."""
    if load.plan.kind == "change":
        return _load_changes(load, chunks)
    staging = None
    for rows in load.typed(chunks):
        staging = staging or _staging(load, rows.frame)
        stage(load.session, staging, _with_digest(rows.frame))
    return load.loaded(_store(load, staging))


def _load_changes(load: _Load, chunks: Iterable[Chunk]) -> Loaded:
    staged = create_change_staging(load.session)
    for chunk, rows in _one_ahead((chunk, typed_changes(chunk, load.plan)) for chunk in chunks):
        stage_changes(load.session, staged, redirect_changes(rows.frame, load.redirects))
        load.count(chunk, rows)
    return load.loaded(store_changes(load.session, staged))


def _load_new(load: _Load, chunks: Iterable[Chunk], target: sa.Table) -> Loaded:
    """Write the rows of a source of which no record is stored straight into the table."""
    chunks = iter(chunks)
    few = list(islice(chunks, 2))
    same = {"stored_at": load.imported_at}
    new = 0
    # Indexes of a short file are not worth the lock.
    with nullcontext(enter_result=False) if len(few) < 2 else filling(load.session, target, same) as is_filling:
        made = ((chunk, *_new_records(load, chunk, {} if is_filling else same)) for chunk in chain(few, chunks))
        for chunk, rows, columns, lines in _one_ahead(made):
            copy_lines(load.session, target, columns, lines)
            load.count(chunk, rows)
            new += rows.frame.height
    return load.loaded(Counts(new=new, changed=0, unchanged=0))


def _new_records(load: _Load, chunk: Chunk, same: Mapping[str, datetime]) -> tuple[TypedRows, Sequence[str], bytes]:
    rows = load.rows(chunk)
    first_version = 1
    frame = _with_digest(rows.frame).with_columns(pl.col("import_digest") ^ first_version)
    if load.plan.source_system != "import":
        frame = frame.with_columns(source_system=pl.lit(load.plan.source_system))
    frame = frame.drop("row").with_columns(
        pl.lit(f"{moment:%Y-%m-%d %H:%M:%S.%f%z}").alias(name) for name, moment in same.items()
    )
    return rows, frame.columns, as_lines(frame)


def _with_digest(frame: pl.DataFrame) -> pl.DataFrame:
    """Add a number that tells the row, its columns' names included, from others.

    Another version of Polars may give other numbers; then every row is compared with what is stored.
    """
    said = frame.drop("row").select(sorted(set(frame.columns) - {"row"}))
    names = int(pl.Series([",".join(said.columns)]).hash()[0])
    return frame.with_columns(import_digest=said.hash_rows(names).reinterpret(signed=True))


def _load_unknown(load: _Load, chunks: Iterable[Chunk], target: sa.Table) -> Loaded | None:
    """Leave out the rows that an earlier import has stored and nothing has changed since, and stage the others."""
    known = _known_digests(load, target)
    ids: list[NDArray[np.uint64]] = []
    staging, same = None, 0

    def rest(rows: TypedRows) -> pl.DataFrame:
        ids.append(rows.frame["id"].hash().to_numpy())
        frame = _with_digest(rows.frame)
        return frame.filter(~_among(frame["import_digest"].to_numpy(), known))

    made = ((chunk, rows, rest(rows)) for chunk in chunks for rows in (load.rows(chunk),))
    for chunk, rows, frame in _one_ahead(made):
        load.count(chunk, rows)
        same += rows.frame.height - frame.height
        if frame.height:
            staging = staging or _staging(load, rows.frame)
            stage(load.session, staging, frame)
    if not _are_distinct(ids):
        return None
    counts = _store(load, staging)
    return load.loaded(replace(counts, unchanged=counts.unchanged + same))


def _known_digests(load: _Load, target: sa.Table) -> NDArray[np.int64]:
    """Read the digests that are of the stored versions, sorted; those of others come out as what no row has."""
    digest = of_version(target.c.import_digest, target.c.version)
    own = (target.c.source_system == load.plan.source_system, target.c.import_digest.is_not(None))
    return np.sort(read_integers(load.session, sa.select(digest).where(*own)))


def _among(values: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not known.size:
        return np.zeros(values.size, dtype=bool)
    places = np.minimum(np.searchsorted(known, values), known.size - 1)
    return np.equal(known[places], values)


def _are_distinct(ids: Sequence[NDArray[np.uint64]]) -> bool:
    if not ids:
        return True
    every = np.sort(np.concatenate(ids))
    return not (every[1:] == every[:-1]).any()


def _staging(load: _Load, frame: pl.DataFrame) -> Staging:
    fields = [name for name in frame.columns if name not in {"row", "id", "external_id", "custom"}]
    return create_staging(
        load.session,
        vocabulary.record_table(load.plan.kind),
        fields,
        customs={name: custom.time for name, custom in load.plan.customs.items()},
        # A close date says nothing of what was expected once the record is closed.
        kept_when_empty=frozenset({"expected_close_on"} & set(fields) - load.plan.fields),
    )


def _store(load: _Load, staging: Staging | None) -> Counts:
    if staging is None:
        return Counts(new=0, changed=0, unchanged=0)
    return store_staged(
        load.session,
        staging,
        kind=load.plan.kind,
        source_system=load.plan.source_system,
        imported_at=load.imported_at,
        content_ids=load.plan.has_content_ids,
    )
