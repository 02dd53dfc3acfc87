"""Import files: read, refuse what can't be read, store the rest, and say what was done."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import sqlalchemy as sa
from psycopg.errors import UniqueViolation
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from forecast.errors import FileError
from forecast.intake import vocabulary
from forecast.intake.chunks import Chunk, Spool
from forecast.intake.files import TableFile, find_files, open_tables, read_chunks
from forecast.intake.history import create_change_staging, stage_changes, store_changes, typed_changes
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.mapping import check_mapping, check_timezone
from forecast.intake.plan import CustomColumn, Plan, make_plan
from forecast.intake.recognition import recognise_kind
from forecast.intake.rejects import RejectsFile
from forecast.intake.report import ImportReport
from forecast.intake.rows import TypedRows, typed_rows
from forecast.intake.staging import Counts, Staging
from forecast.intake.upsert import (
    create_staging,
    holds_source,
    insert_frame,
    lock_kind,
    stage,
    store_staged,
)
from forecast.records import CustomField, ImportRun
from forecast.store import unit_of_work

T = TypeVar("T")


def import_files(
    engine: sa.Engine,
    paths: Sequence[Path],
    *,
    kind: str | None = None,
    mapping: ColumnMapping | None = None,
    source_system: str | None = None,
    timezone: str = "UTC",
    imported_at: datetime,
    rejects_folder: Path,
    dry_run: bool = False,
) -> list[ImportReport]:
    """Import every table of files and folders, each in a transaction of its own.

    Nothing is imported before every table is recognised.

    Args:
        engine: the database.
        paths: files of CSV, Excel or Parquet, as they are or packed by gzip or zip, and folders of them.
        kind: a key of RECORD_KINDS or `change`; recognised from the headings where it is None. Wins over the mapping's.
        mapping: what is not to be recognised from the file.
        source_system: where its ids come from; wins over the mapping's, `import` where neither says.
        timezone: IANA name for moments without a zone, where the mapping names none.
        imported_at: now; the moment of changes that the file does not date.
        rejects_folder: where the files of rejected rows are written.
        dry_run: whether to store nothing and only report.

    Raises:
        FileError: a file can't be read.
        MappingError: the kind of a table is not recognised, or the mapping does not fit it.
    """
    mapping = _in_force(mapping, kind=kind, source_system=source_system, timezone=timezone)
    with _work_folder() as folder:
        tables = [table for path in find_files(paths) for table in open_tables(path, folder, encoding=mapping.encoding)]
        recognised = [replace(mapping, kind=mapping.kind or recognise_kind(one.headings, one.title)) for one in tables]
        return [
            _import_table(engine, table, own, imported_at=imported_at, rejects_folder=rejects_folder, dry_run=dry_run)
            for table, own in zip(tables, recognised, strict=True)
        ]


def import_file(
    engine: sa.Engine,
    path: Path,
    *,
    kind: str | None = None,
    mapping: ColumnMapping | None = None,
    source_system: str | None = None,
    timezone: str = "UTC",
    imported_at: datetime,
    rejects_folder: Path,
    dry_run: bool = False,
) -> ImportReport:
    """Import a file that is one table, in one transaction; arguments and errors as of `import_files`."""
    mapping = _in_force(mapping, kind=kind, source_system=source_system, timezone=timezone)
    with _work_folder() as folder:
        table = _only_table(path, folder, mapping)
        own = replace(mapping, kind=mapping.kind or recognise_kind(table.headings, table.title))
        return _import_table(
            engine, table, own, imported_at=imported_at, rejects_folder=rejects_folder, dry_run=dry_run
        )


def recognise(
    path: Path,
    *,
    kind: str | None = None,
    mapping: ColumnMapping | None = None,
    source_system: str | None = None,
    timezone: str = "UTC",
) -> ColumnMapping:
    """Show how a file would be read, as a mapping to correct; every row is looked at, none is stored.

    Raises:
        FileError: the file can't be read, or holds several tables.
        MappingError: its kind is not recognised, or the mapping does not fit it.
    """
    mapping = _in_force(mapping, kind=kind, source_system=source_system, timezone=timezone)
    with _work_folder() as folder:
        table = _only_table(path, folder, mapping)
        return make_plan(table, read_chunks(table), mapping, {}).mapping


@contextmanager
def _work_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="forecast-import-") as name:
        yield Path(name)


def _only_table(path: Path, folder: Path, mapping: ColumnMapping) -> TableFile:
    tables = open_tables(path, folder, encoding=mapping.encoding)
    if len(tables) > 1:
        named = ", ".join(table.part for table in tables)
        raise FileError(f"{path} holds {len(tables)} tables: {named}; expected one, save each as a file of its own")
    return tables[0]


def _import_table(
    engine: sa.Engine,
    table: TableFile,
    mapping: ColumnMapping,
    *,
    imported_at: datetime,
    rejects_folder: Path,
    dry_run: bool,
) -> ImportReport:
    rejects_path = None if dry_run else rejects_folder / f"{_stem(table)}.{table.sha256[:8]}.rejects.csv"
    with (
        unit_of_work(engine) as session,
        _rejects_file(rejects_path, table) as rejects,
        _work_folder() as folder,
    ):
        chunks = Spool(read_chunks(table), folder)
        kind = mapping.kind or ""
        lock_kind(session, kind)
        plan = make_plan(table, chunks, mapping, _declared(session, kind))
        outcome = _store(session, chunks, plan, rejects=rejects, imported_at=imported_at)
        report = _report(table, plan, outcome, rejects=rejects)
        if dry_run:
            session.rollback()
            return replace(report, dry_run=True)
        _record_run(session, table, report, imported_at)
    return report


def _in_force(
    mapping: ColumnMapping | None, *, kind: str | None, source_system: str | None, timezone: str
) -> ColumnMapping:
    given = mapping or ColumnMapping()
    decided = replace(
        given,
        kind=kind or given.kind,
        source_system=source_system or given.source_system or "import",
        timezone=given.timezone or timezone,
    )
    check_timezone(decided.timezone or "UTC")
    check_mapping(decided)
    return decided


def _stem(table: TableFile) -> str:
    # A member's name is a stranger's: only its letters and digits become part of a path.
    part = re.sub(r"\W+", "-", table.part).strip("-")[-60:]
    return table.path.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".rejects") + (part and f".{part}")


@contextmanager
def _rejects_file(path: Path | None, file: TableFile) -> Iterator[RejectsFile]:
    rejects = RejectsFile(path, file.headings)
    try:
        yield rejects
    except BaseException:
        rejects.discard()
        raise


def _declared(session: Session, kind: str) -> dict[str, CustomColumn]:
    found = session.scalars(sa.select(CustomField).where(CustomField.kind == kind))
    return {field.name: CustomColumn(field.type, field.time, field.label) for field in found}  # type: ignore[arg-type]  # one of TimeKind


@dataclass(frozen=True)
class _Outcome:
    """What became of the rows of a file; `open_but_closed` of them are open and had a close moment."""

    read: int
    open_but_closed: int
    counts: Counts


def _store(
    session: Session, chunks: Iterable[Chunk], plan: Plan, *, rejects: RejectsFile, imported_at: datetime
) -> _Outcome:
    if plan.kind == "change":
        return _store_history(session, chunks, plan, rejects=rejects)
    return _store_records(session, chunks, plan, rejects=rejects, imported_at=imported_at)


def _store_history(session: Session, chunks: Iterable[Chunk], plan: Plan, *, rejects: RejectsFile) -> _Outcome:
    staged = create_change_staging(session)
    read = 0
    for chunk in chunks:
        rows = typed_changes(chunk, plan)
        stage_changes(session, staged, rows.frame)
        rejects.add((number, cells, trouble) for number, (cells, trouble) in rows.refused.items())
        read += chunk.read
    return _Outcome(read, 0, store_changes(session, staged))


def _store_records(
    session: Session, chunks: Iterable[Chunk], plan: Plan, *, rejects: RejectsFile, imported_at: datetime
) -> _Outcome:
    _declare(session, plan)
    target = vocabulary.record_table(plan.kind)
    if not holds_source(session, target, plan.source_system):
        try:
            with session.begin_nested():
                return _insert_records(session, chunks, plan, rejects=rejects, imported_at=imported_at)
        except UniqueViolation:
            # An id comes twice: only the staged way applies rows of one id in their order.
            rejects.restart()
    return _upsert_records(session, chunks, plan, rejects=rejects, imported_at=imported_at)


def _insert_records(
    session: Session, chunks: Iterable[Chunk], plan: Plan, *, rejects: RejectsFile, imported_at: datetime
) -> _Outcome:
    """Write the rows of a source of which no record is stored, straight into the table."""
    target = vocabulary.record_table(plan.kind)
    read = left_out = new = 0
    for chunk, rows in _typed(chunks, plan, imported_at):
        insert_frame(session, target, rows.frame, source_system=plan.source_system, imported_at=imported_at)
        rejects.add((number, cells, trouble) for number, (cells, trouble) in rows.refused.items())
        read += chunk.read
        left_out += rows.open_but_closed
        new += rows.frame.height
    return _Outcome(read, left_out, Counts(new=new, changed=0, unchanged=0))


def _typed(chunks: Iterable[Chunk], plan: Plan, imported_at: datetime) -> Iterator[tuple[Chunk, TypedRows]]:
    return _one_ahead((chunk, typed_rows(chunk, plan, imported_at)) for chunk in chunks)


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Make the next item while the database takes the last."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def _upsert_records(
    session: Session, chunks: Iterable[Chunk], plan: Plan, *, rejects: RejectsFile, imported_at: datetime
) -> _Outcome:
    """Write rows that may be new, known or repeated."""
    staging = None
    read = left_out = 0
    for chunk, rows in _typed(chunks, plan, imported_at):
        staging = staging or _staging(session, plan, rows)
        stage(session, staging, rows.frame)
        rejects.add((number, cells, trouble) for number, (cells, trouble) in rows.refused.items())
        read += chunk.read
        left_out += rows.open_but_closed
    if staging is None:
        return _Outcome(0, 0, Counts(new=0, changed=0, unchanged=0))
    counts = store_staged(
        session,
        staging,
        kind=plan.kind,
        source_system=plan.source_system,
        imported_at=imported_at,
        content_ids=plan.has_content_ids,
    )
    return _Outcome(read, left_out, counts)


def _staging(session: Session, plan: Plan, rows: TypedRows) -> Staging:
    fields = [name for name in rows.frame.columns if name not in {"row", "id", "external_id", "custom"}]
    return create_staging(
        session,
        vocabulary.record_table(plan.kind),
        fields,
        customs={name: custom.time for name, custom in plan.customs.items()},
        # A close date says nothing of what was expected once the record is closed.
        kept_when_empty=frozenset({"expected_close_on"} & set(fields) - plan.fields),
    )


def _declare(session: Session, plan: Plan) -> None:
    """Register the custom fields of a file; one whose cells disagree with its declaration becomes text."""
    for name, custom in plan.customs.items():
        new = insert(CustomField).values(
            kind=plan.kind, name=name, type=custom.type, time=custom.time, label=custom.label
        )
        changed = new.on_conflict_do_update(index_elements=["kind", "name"], set_={"type": custom.type})
        session.execute(changed if name in plan.cleared else new.on_conflict_do_nothing())


def _report(file: TableFile, plan: Plan, outcome: _Outcome, *, rejects: RejectsFile) -> ImportReport:
    counts = outcome.counts
    return ImportReport(
        file=file.path,
        part=file.part,
        kind=plan.kind,
        read=outcome.read,
        new=counts.new,
        changed=counts.changed,
        unchanged=counts.unchanged,
        rejected=rejects.count,
        changes=counts.changes,
        custom_fields={name: custom.type for name, custom in plan.customs.items()},
        ignored_columns=plan.ignored,
        mapping=plan.mapping,
        rejects=rejects.close(),
        warnings=(*plan.warnings, *_warnings(outcome)),
        dry_run=False,
    )


def _warnings(outcome: _Outcome) -> Iterator[str]:
    if not outcome.read:
        yield "the file has headings and no row"
    if outcome.open_but_closed:
        yield (
            f"{outcome.open_but_closed} rows are open and yet have a close moment, which was left out; "
            "if they are closed, say which words mean won or lost in [values.status] of a mapping"
        )
    if outcome.counts.fixed:
        yield f"{outcome.counts.fixed} rows differ in a field that is held to be fixed from creation; the new value is stored without history"


def _record_run(session: Session, file: TableFile, report: ImportReport, imported_at: datetime) -> None:
    names = ("read", "new", "changed", "unchanged", "rejected", "changes")
    session.add(
        ImportRun(
            file=file.title,
            sha256=file.sha256,
            kind=report.kind,
            source_system=report.mapping.source_system or "import",
            mapping=asdict(report.mapping),
            counts={name: getattr(report, name) for name in names},
            started_at=imported_at,
            finished_at=sa.func.clock_timestamp(),
        )
    )
    session.flush()
