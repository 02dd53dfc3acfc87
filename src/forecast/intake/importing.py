"""Import files: read, refuse what can't be read, store the rest, and say what was done."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Required, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import MappingError
from forecast.intake.batches import Place, count_done, places
from forecast.intake.closing_dates import KINDS, date_closings
from forecast.intake.dates import with_shared_date_order
from forecast.intake.files import TableFile, find_files, open_tables
from forecast.intake.loading import Loaded, load_table
from forecast.intake.mapping import IGNORE, check_mapping, check_timezone
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.recognition import recognise_kind
from forecast.intake.rejects import RejectsFile
from forecast.intake.report import Imported, ImportReport, LeftOut
from forecast.intake.sales_lines import split_sales_lines
from forecast.records import ImportRun
from forecast.store import unit_of_work

_CAUSES_MAX = 3  # named in a report; the file of rejected rows has all
_SHOWN_MAX = 60
_DATED = (
    "{count} closed opportunities had no closing date: it is taken to be when they entered the stage that they ended in, "
    "as the history of stages tells"
)
Confirm = Callable[[ImportReport], Mapping[str, str]]


class ImportOptions(TypedDict, total=False):
    """How files are to be read and stored.

    Attributes:
        kind: a key of RECORD_KINDS or `change`; recognised from the headings where none is given. Wins over the mapping's.
        mapping: what is not to be recognised from the file.
        source_system: where its ids come from; wins over the mapping's, `import` where neither says.
        timezone: IANA name for moments without a zone, where the mapping names none; UTC where neither does.
        imported_at: now; the moment of changes that the file does not date.
        rejects_folder: where the files of rejected rows are written.
        dry_run: whether to store nothing and only report.
    """

    kind: str | None
    mapping: ColumnMapping | None
    source_system: str | None
    timezone: str
    imported_at: Required[datetime]
    rejects_folder: Required[Path]
    dry_run: bool


def import_files(
    engine: sa.Engine, paths: Sequence[Path], *, confirm: Confirm | None = None, **how: Unpack[ImportOptions]
) -> Imported:
    """Import every table of files and folders, each in a transaction of its own; those not recognised are left out.

    Nothing is imported before every file was opened. One that was interrupted goes on with the table that it was at.

    Args:
        engine: the database.
        paths: files of CSV, Excel or Parquet, as they are or packed by gzip or zip, and folders of them.
        confirm: is shown what an import would do where words are uncertain, and gives the status of each; without it, or
            where it gives none, no record ends by them.
        how: as ImportOptions.

    Raises:
        FileError: a file can't be read.
        MappingError: the kind of a table is not recognised, or the mapping does not fit it.
    """
    mapping, dry_run = _in_force(how), how.get("dry_run", False)
    import_table = partial(_import_table, engine, imported_at=how["imported_at"], rejects_folder=how["rejects_folder"])
    with _work_folder() as folder:
        tables = [table for path in find_files(paths) for table in open_tables(path, folder, encoding=mapping.encoding)]
        recognised, left_out = _recognised(tables, mapping)
        known = [part for table, own in recognised for part in split_sales_lines(table, own, folder)]
        known = with_shared_date_order(known)
        batch = places(known)
        with Session(engine) as session:
            done = 0 if dry_run else count_done(session, batch)
        reports = tuple(
            _import_confirmed(partial(import_table, table, place=place), own, dry_run=dry_run, confirm=confirm)
            for (table, own), place in list(zip(known, batch, strict=True))[done:]
        )
    return Imported(reports, left_out, tuple(table.name for table, _ in known[:done]))


def _recognised(
    tables: Sequence[TableFile], mapping: ColumnMapping
) -> tuple[list[tuple[TableFile, ColumnMapping]], tuple[LeftOut, ...]]:
    """Give the tables whose kind is known, each with its mapping, and those that are left out.

    Raises:
        MappingError: no table is recognised.
    """
    known, left_out, refused = [], [], []
    for table in tables:
        own = mapping.of_table(table.name)
        try:
            own = replace(own, kind=own.kind or recognise_kind(table.headings, table.title))
        except MappingError as error:
            refused.append(error)
            nothing = dict.fromkeys(table.headings, IGNORE)
            left_out.append(LeftOut(table.name, str(error), ColumnMapping(kind=IGNORE, columns=nothing)))
            continue
        if own.kind != IGNORE:
            known.append((table, own))
    if refused and not known:
        raise refused[0]
    return known, tuple(left_out)


@contextmanager
def _work_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="forecast-import-") as name:
        yield Path(name)


def _import_confirmed(
    import_table: Callable[..., ImportReport], mapping: ColumnMapping, *, dry_run: bool, confirm: Confirm | None
) -> ImportReport:
    """Import a table; where words are uncertain, nothing is stored before they are decided."""
    if confirm is None:
        return import_table(mapping, dry_run=dry_run)
    report = import_table(mapping, dry_run=dry_run, stop_if_uncertain=True)
    decided = confirm(report) if report.uncertain else {}
    if not report.uncertain or (dry_run and not decided):
        return report
    # A word for what is open says nothing of an end: another column may.
    words = {
        **mapping.values.get("status", {}),
        **{word: "" if ours == "open" else ours for word, ours in decided.items()},
    }
    return import_table(replace(mapping, values={**mapping.values, "status": words}), dry_run=dry_run)


def _import_table(
    engine: sa.Engine,
    table: TableFile,
    mapping: ColumnMapping,
    *,
    imported_at: datetime,
    rejects_folder: Path,
    dry_run: bool,
    stop_if_uncertain: bool = False,
    place: Place,
) -> ImportReport:
    rejects_path = None if dry_run else rejects_folder / f"{_stem(table)}.{table.sha256[:8]}.rejects.csv"
    with (
        unit_of_work(engine) as session,
        _rejects_file(rejects_path, table) as rejects,
    ):
        loaded = load_table(session, table, mapping, rejects=rejects, imported_at=imported_at)
        report = _report(table, loaded, rejects=rejects)
        if report.kind in KINDS and (dated := date_closings(session)):
            report = replace(report, warnings=(*report.warnings, _DATED.format(count=dated)))
        if dry_run or (stop_if_uncertain and report.uncertain):
            session.rollback()
            return replace(report, dry_run=True)
        _record_run(session, table, report, imported_at=imported_at, place=place)
    return report


def _in_force(how: ImportOptions) -> ColumnMapping:
    given = how.get("mapping") or ColumnMapping()
    decided = replace(
        given,
        kind=how.get("kind") or given.kind,
        source_system=how.get("source_system") or given.source_system or "import",
        timezone=given.timezone or how.get("timezone", "UTC"),
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


def _report(file: TableFile, loaded: Loaded, *, rejects: RejectsFile) -> ImportReport:
    plan, counts = loaded.plan, loaded.counts
    return ImportReport(
        file=file.path,
        part=file.part,
        kind=plan.kind,
        read=loaded.read,
        new=counts.new,
        changed=counts.changed,
        unchanged=counts.unchanged,
        rejected=rejects.count,
        changes=counts.changes,
        custom_fields={name: custom.type for name, custom in plan.customs.items()},
        ignored_columns=plan.ignored,
        mapping=plan.mapping,
        rejects=rejects.close(),
        words=plan.words,
        warnings=(
            *plan.warnings,
            *(plan.doubts_of_new if counts.new else ()),
            *_warnings(loaded),
            *_causes(rejects),
        ),
        dry_run=False,
    )


def _warnings(loaded: Loaded) -> Iterator[str]:
    if not loaded.read:
        yield "the file has headings and no row"
    if loaded.open_but_closed:
        yield (
            f"{loaded.open_but_closed} rows are open and yet have a close moment, which was left out; "
            "if they are closed, say which words mean won or lost in [values.status] of a mapping"
        )
    if loaded.redirected:
        yield f"{loaded.redirected} references to records that were merged into another name that one now"
    if loaded.merged:
        yield f"{loaded.merged} rows are of records that were merged into another; they stay deleted, and undoing restores them"
    if loaded.counts.repeated * 2 > loaded.read:
        yield (
            f"{loaded.counts.repeated} of {loaded.read} rows repeat the id of a row above and were taken for later states of its "
            "record; where each row is a record of its own, set the column of that id to a custom field in a mapping"
        )
    if loaded.counts.fixed:
        yield f"{loaded.counts.fixed} rows differ in a field that is held to be fixed from creation; the new value is stored without history"


def _causes(rejects: RejectsFile) -> Iterator[str]:
    for trouble, count in rejects.most_frequent(_CAUSES_MAX):
        value = trouble.value if len(trouble.value) <= _SHOWN_MAX else f"{trouble.value[:_SHOWN_MAX]}…"
        where = f'column "{trouble.column}": ' if trouble.column else ""
        yield f'{count} rejected: {where}"{value}" {trouble.reason}; {trouble.remedy}'


def _record_run(
    session: Session, file: TableFile, report: ImportReport, *, imported_at: datetime, place: Place
) -> None:
    names = ("read", "new", "changed", "unchanged", "rejected", "changes")
    session.add(
        ImportRun(
            file=file.title,
            sha256=file.sha256,
            kind=report.kind,
            source_system=report.mapping.source_system or "import",
            mapping=asdict(report.mapping),
            counts={name: getattr(report, name) for name in names},
            batch=place.batch,
            place=place.place,
            started_at=imported_at,
            finished_at=sa.func.clock_timestamp(),
        )
    )
    session.flush()
